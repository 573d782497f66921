package corefile

import (
	"net"
	"net/netip"
	"path"
	"strings"
)

// An UpstreamKind says what the target of a forward is.
type UpstreamKind string

const (
	// UpstreamAddress is an IP address.
	UpstreamAddress UpstreamKind = "address"
	// UpstreamFile is the absolute path of a file in the form of resolv.conf
	// whose nameservers are used, as they are when CoreDNS starts.
	UpstreamFile UpstreamKind = "file"
	// UpstreamName is any other word. CoreDNS looks for a file of that name in
	// its working directory; since 1.14.4 it then takes the word for a host
	// name. Before it did not start.
	UpstreamName UpstreamKind = "name"
	// UpstreamPlaceholder is a word that is filled in later; see Placeholder.
	UpstreamPlaceholder UpstreamKind = "placeholder"
)

// An Upstream is one target of a forward.
type Upstream struct {
	Text      string // as written
	Kind      UpstreamKind
	Transport string     // dns, tls, https …
	Addr      netip.Addr // of an address, without a zone (fe80::1%eth0)
	Port      string     // of an address; normally a number, the transport's own if none is written
	Path      string     // of a file, as CoreDNS opens it
}

// ParseUpstream reads a target the way forward does: an address with or without
// scheme, brackets, zone and port, or a file.
func ParseUpstream(text string) Upstream {
	transport, rest := cutTransport(text)
	u := Upstream{Text: text, Kind: UpstreamName, Transport: transport}
	if Placeholder(text) {
		u.Kind = UpstreamPlaceholder
		return u
	}
	if transport == "unix" { // a socket, not a file to read
		return u
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil { // no port
		rest = strings.Trim(rest, "[]")
		host, port = rest, defaultPort(transport)
	}
	if i := strings.LastIndexByte(host, '%'); i >= 0 {
		host = host[:i]
	}
	// CoreDNS cuts one zone off, and takes what has another for no address.
	if addr, err := netip.ParseAddr(host); err == nil && addr.Zone() == "" {
		u.Kind, u.Addr, u.Port = UpstreamAddress, addr, port
	} else if path.IsAbs(rest) {
		u.Kind, u.Path = UpstreamFile, rest
	}
	return u
}

// Placeholder reports whether a word of a Corefile is to be filled in, so that
// its value cannot be seen: {$X} and {%X%} from the environment of CoreDNS,
// __PILLAR__X by the installer or by NodeLocal DNSCache.
func Placeholder(word string) bool {
	return strings.Contains(word, "{$") || strings.Contains(word, "{%") || strings.Contains(word, "__PILLAR__")
}

// Loopback reports whether what is sent to the upstream stays with the sender:
// in a pod without the host's network, CoreDNS would be asking itself. Besides
// 127.0.0.0/8 and ::1 that is the unspecified address, which Linux takes for
// the local host.
func (u Upstream) Loopback() bool {
	addr := u.Addr.Unmap()
	return addr.IsLoopback() || addr.IsValid() && addr.IsUnspecified()
}

// Loopback is [Upstream.Loopback] for an address in any form that [ParseUpstream]
// takes: ::1, 127.0.0.53:53, dns://[::1]:53, ::ffff:127.0.0.1.
func Loopback(address string) bool { return ParseUpstream(address).Loopback() }

// A Forward is what forward, or proxy of old, was told.
type Forward struct {
	From string // the zone, written as in [Block.Zones]; "" if CoreDNS refuses it
	To   []Upstream
}

// Forward reads the arguments of a forward or proxy directive. It is false for
// other directives, and for arguments with which CoreDNS does not start because
// no target is among them.
func (d *Directive) Forward() (Forward, bool) {
	if d.Name != "forward" && d.Name != "proxy" || len(d.Args) < 2 {
		return Forward{}, false
	}
	var f Forward
	if from, err := ParseAddress(d.Args[0]); err == nil {
		f.From = from[0].Zone // CoreDNS ignores the others
	}
	for _, to := range d.Args[1:] {
		f.To = append(f.To, ParseUpstream(to))
	}
	return f, true
}
