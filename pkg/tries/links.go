package tries

import (
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Link is what was tried on the way from the pods of one node to those of another, or to
// those beside them. What was not tried is the zero Try.
type Link struct{ TCP, UDP, MTU facts.Try }

// Trouble is what is wrong with a link.
type Trouble int

// The troubles, the gravest first. A link without one has zero.
const (
	Dead   Trouble = iota + 1 // nothing comes through
	NoUDP                     // TCP does, UDP does not
	NoTCP                     // UDP does, TCP does not
	Stalls                    // connections are made, and stall when they carry data
)

// Troubles lists them.
func Troubles() []Trouble { return []Trouble{Dead, NoUDP, NoTCP, Stalls} }

// Links returns what pods tried of each other, as far as it tells of the ways between them.
// A pod that refused everybody, the one beside it included, had ended, and tells nothing.
func Links(s *facts.Snapshot) map[Pair]*Link {
	known := map[string]bool{}
	for _, node := range Nodes(s) {
		known[node] = true
	}
	out := map[Pair]*Link{}
	for _, t := range Of(s, func(t facts.Try) bool { return t.Target == facts.TargetPod && known[t.ToNode] }) {
		p := Pair{t.Node, t.ToNode}
		if out[p] == nil {
			out[p] = &Link{}
		}
		out[p].add(t)
	}
	for _, node := range ended(out) {
		for from := range known {
			delete(out, Pair{from, node})
		}
	}
	return out
}

// add keeps of several addresses the one with which it went worst.
func (l *Link) add(t facts.Try) {
	switch {
	case t.Kind == facts.TryTCP && !l.TCP.Dead():
		l.TCP = t
	case t.Kind == facts.TryUDP && !l.UDP.Dead():
		l.UDP = t
	case t.Kind == facts.TryMTU && (l.MTU.Sent == 0 || t.Size < l.MTU.Size):
		l.MTU = t
	}
}

// ended returns the nodes whose pod refused whatever came.
func ended(links map[Pair]*Link) []string {
	answered, refused := map[string]bool{}, map[string]bool{}
	for p, l := range links {
		for _, t := range l.tried() {
			answered[p.To] = answered[p.To] || !Refused(t)
			refused[p.To] = refused[p.To] || Refused(t) && p.From == p.To
		}
	}
	var out []string
	for node := range refused {
		if refused[node] && !answered[node] {
			out = append(out, node)
		}
	}
	return out
}

func (l *Link) tried() []facts.Try {
	return slices.DeleteFunc([]facts.Try{l.TCP, l.UDP}, func(t facts.Try) bool { return t.Sent == 0 })
}

// Trouble tells what is wrong with a link.
func (l *Link) Trouble() Trouble {
	tried := l.tried()
	dead := func(t facts.Try) bool { return t.Dead() && !Stalled(t) }
	switch {
	case len(tried) == 0:
		return 0
	case !slices.ContainsFunc(tried, func(t facts.Try) bool { return !dead(t) }):
		return Dead
	case Stalled(l.TCP):
		return Stalls
	case dead(l.UDP):
		return NoUDP
	case dead(l.TCP):
		return NoTCP
	}
	return 0
}

// Bad returns the tries of a link that went wrong.
func (l *Link) Bad() []facts.Try {
	return slices.DeleteFunc(l.tried(), func(t facts.Try) bool { return !t.Dead() })
}

// Works returns the tries of a link that were answered.
func (l *Link) Works() []facts.Try { return slices.DeleteFunc(l.tried(), facts.Try.Dead) }

// MapOf tells of which links that were tried have a trouble; those with another one say
// nothing of it.
func MapOf(links map[Pair]*Link, trouble Trouble) Map {
	out := Map{}
	for p, l := range links {
		if got := l.Trouble(); len(l.tried()) > 0 && (got == 0 || got == trouble) {
			out[p] = got == trouble
		}
	}
	return out
}
