// Package corefile reads the configuration of CoreDNS as CoreDNS does, and
// changes single words of it without touching anything else.
//
// [Parse] gives the server blocks with their directives, each with its line.
// It accepts what CoreDNS accepts, and what it refuses it refuses with the
// sentence that CoreDNS would log. [Rewrite] replaces the targets of forward
// and keeps every other byte: comments, blanks, line endings.
//
// The rules are those of github.com/coredns/caddy/caddyfile, which CoreDNS
// uses. That package cannot be called here: its parser opens the files that an
// import names and puts environment variables of the calling process into the
// result (a Corefile comes from a cluster and may be hostile), and its tokens
// have no offsets. The tests hold both against each other instead: the same
// tokens, the same blocks and the same errors for any input.
//
// Two things are therefore left as written. An import of a file stays an
// ordinary directive and is listed in [File.Imports]: where there is one, more
// may be configured than is seen. A reference to the environment ({$X}, {%X%})
// is not replaced.
package corefile
