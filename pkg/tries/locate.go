package tries

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Pair is the way from the pods of one node to those of another, or to those beside them.
type Pair struct{ From, To string }

// String says from where to where.
func (p Pair) String() string { return "from " + p.From + " to " + p.To }

// Place is where something fails, as narrowly as what was tried tells.
type Place int

// The places, in the order in which they are told.
const (
	Everywhere Place = iota + 1 // between all nodes that tried
	Around                      // to and from one node
	Out                         // from one node, and not to it
	In                          // to one node, and not from it
	Zones                       // between zones, and not within them
	Between                     // on some ways, of which nothing more is known
)

// Fault is a place where something fails.
type Fault struct {
	Place
	Node  string // of Around, Out and In
	Pairs []Pair // the ways that fail, in order
}

// Map is what came of each way that was tried: whether it fails.
type Map map[Pair]bool

// Locate tells where ways between nodes fail. mute tells of a node that its pods reach
// nothing else either: of two nodes it is the one to look at. zone is a node's zone, or "".
func (m Map) Locate(mute func(node string) bool, zone func(node string) string) []Fault {
	tried := Map{}
	for p, failed := range m {
		if p.From != p.To {
			tried[p] = failed
		}
	}
	failing := tried.failing()
	if len(failing) == 0 {
		return nil
	}
	if nodes := slices.Sorted(maps.Keys(tried.count())); len(failing) == len(tried) {
		if len(nodes) == 2 && mute(nodes[0]) != mute(nodes[1]) {
			node := nodes[0]
			if mute(nodes[1]) {
				node = nodes[1]
			}
			return []Fault{{Place: Around, Node: node, Pairs: failing}}
		}
		return []Fault{{Place: Everywhere, Pairs: failing}}
	}
	out := tried.around(failing)
	one := tried.oneWay(mute)
	out = append(out, one...)
	if rest := tried.without(one).failing(); len(rest) > 0 {
		place := Between
		if tried.apart(rest, zone) {
			place = Zones
		}
		out = append(out, Fault{Place: place, Pairs: rest})
	}
	return out
}

// around takes the nodes out from and to which every way fails.
func (m Map) around(failing []Pair) []Fault {
	var out []Fault
	taken := map[string]bool{}
	count := m.count()
	for _, node := range slices.Sorted(maps.Keys(count)) {
		if n := count[node]; n.all(Out) && n.all(In) {
			taken[node] = true
			out = append(out, Fault{Place: Around, Node: node})
		}
	}
	for i := range out {
		for _, p := range failing {
			if p.From == out[i].Node || p.To == out[i].Node {
				out[i].Pairs = append(out[i].Pairs, p)
			}
		}
	}
	maps.DeleteFunc(m, func(p Pair, _ bool) bool { return taken[p.From] || taken[p.To] })
	return out
}

// oneWay finds nodes from which, or to which, every way fails. With a single other node it
// may be that one, unless the pods of this one reach nothing at all.
func (m Map) oneWay(mute func(node string) bool) []Fault {
	var out []Fault
	failing, count := m.failing(), m.count()
	for _, node := range slices.Sorted(maps.Keys(count)) {
		for _, f := range []Fault{{Place: Out, Node: node}, {Place: In, Node: node}} {
			if n := count[node]; !n.all(f.Place) {
				continue
			}
			for _, p := range failing {
				if f.Place == Out && p.From == node || f.Place == In && p.To == node {
					f.Pairs = append(f.Pairs, p)
				}
			}
			if len(f.Pairs) > 1 || f.Place == Out && mute(node) {
				out = append(out, f)
			}
		}
	}
	return out
}

// without returns what is left when the ways of some faults are told.
func (m Map) without(told []Fault) Map {
	rest := maps.Clone(m)
	for _, f := range told {
		for _, p := range f.Pairs {
			delete(rest, p)
		}
	}
	return rest
}

// apart tells whether these ways all cross from zone to zone, and every other that was tried
// and does so fails as well.
func (m Map) apart(ways []Pair, zone func(node string) string) bool {
	crosses := func(p Pair) bool {
		a, b := zone(p.From), zone(p.To)
		return a != "" && b != "" && a != b
	}
	if slices.ContainsFunc(ways, func(p Pair) bool { return !crosses(p) }) {
		return false
	}
	for p, failed := range m {
		if crosses(p) && !failed {
			return false
		}
	}
	return true
}

// tally counts the ways of a node, and those that fail.
type tally struct{ out, outFailing, in, inFailing int }

// all tells whether every way from a node, or to it, fails, and there is one.
func (t *tally) all(place Place) bool {
	if place == Out {
		return t.out > 0 && t.outFailing == t.out
	}
	return t.in > 0 && t.inFailing == t.in
}

func (m Map) count() map[string]*tally {
	out := map[string]*tally{}
	of := func(node string) *tally {
		if out[node] == nil {
			out[node] = &tally{}
		}
		return out[node]
	}
	for p, failed := range m {
		of(p.From).out++
		of(p.To).in++
		if failed {
			of(p.From).outFailing++
			of(p.To).inFailing++
		}
	}
	return out
}

func (m Map) failing() []Pair {
	var out []Pair
	for p, failed := range m {
		if failed {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Pair) int { return cmp.Or(strings.Compare(a.From, b.From), strings.Compare(a.To, b.To)) })
	return out
}

// Local returns the nodes whose pods do not reach those beside them.
func (m Map) Local() []string {
	var out []string
	for _, p := range m.failing() {
		if p.From == p.To {
			out = append(out, p.From)
		}
	}
	return out
}
