package checks

import (
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// Files names those of some files of a node as parts that must be known of which it is not
// known all that they hold nor that they are not there. A pattern of path.Match stands for
// all files that fit it. A node that nothing was read of is one part.
func Files(s *facts.Snapshot, node string, names ...string) []Part {
	v := host.Of(s, node)
	if !v.Known() {
		return []Part{{Source: facts.Files, Key: node}}
	}
	var out []Part
	for _, name := range names {
		if why := v.Unknown(name); why != "" {
			out = append(out, Part{Source: facts.Files, Key: node + name, Lacks: why})
		}
	}
	return out
}

// QuoteFile quotes what a file of a node says.
func QuoteFile(node, file, text string) Evidence {
	return Evidence{From: "Node " + node + ", " + file, Text: text}
}
