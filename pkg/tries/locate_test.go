package tries_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// ways makes a map between nodes, each a letter: of those in failing, such as "ab ba", it
// says so.
func ways(nodes, failing string) tries.Map {
	m := tries.Map{}
	for _, a := range nodes {
		for _, b := range nodes {
			pair := string(a) + string(b)
			m[tries.Pair{From: string(a), To: string(b)}] = slices.Contains(strings.Fields(failing), pair)
		}
	}
	return m
}

func told(faults []tries.Fault) string {
	names := map[tries.Place]string{tries.Everywhere: "everywhere", tries.Around: "around", tries.Out: "out", tries.In: "in", tries.Zones: "zones", tries.Between: "between"}
	var out []string
	for _, f := range faults {
		var pairs []string
		for _, p := range f.Pairs {
			pairs = append(pairs, p.From+p.To)
		}
		out = append(out, strings.TrimSpace(names[f.Place]+" "+f.Node)+": "+strings.Join(pairs, " "))
	}
	return strings.Join(out, "; ")
}

func TestLocate(t *testing.T) {
	for _, tt := range []struct{ name, nodes, failing, mute, want string }{
		{"nothing", "abc", "", "", ""},
		{"one node alone", "a", "", "", ""},
		{"within a node is no way between", "ab", "aa bb", "", ""},
		{"two nodes", "ab", "ab ba", "", "everywhere: ab ba"},
		{"two nodes, one of them cut off from all", "ab", "ab ba", "b", "around b: ab ba"},
		{"two nodes, both cut off", "ab", "ab ba", "ab", "everywhere: ab ba"},
		{"two nodes, one way", "ab", "ab", "", "between: ab"},
		{"two nodes, one way, and nothing else", "ab", "ab", "a", "out a: ab"},
		{"three nodes", "abc", "ab ac ba bc ca cb", "", "everywhere: ab ac ba bc ca cb"},
		{"one of three", "abc", "ab ba bc cb", "", "around b: ab ba bc cb"},
		{"two of four", "abcd", "ab ba ac ca ad da bc cb bd db", "", "around a: ab ac ad ba ca da; around b: ab ba bc bd cb db"},
		{"from one of three", "abc", "ab ac", "", "out a: ab ac"},
		{"to one of three", "abc", "ac bc", "", "in c: ac bc"},
		{"from one and to another", "abcd", "ab ac ad cb db", "", "out a: ab ac ad; in b: ab cb db"},
		{"a single way of many", "abcd", "cb", "", "between: cb"},
		{"a node cut off, and a single way", "abcd", "ab ba bc cb bd db cd", "", "around b: ab ba bc bd cb db; between: cd"},
		{"between zones", "abxy", "ax ay bx by xa xb ya yb", "", "zones: ax ay bx by xa xb ya yb"},
		{"between zones, but not all", "abxy", "ax ay bx by xa xb ya", "", "between: ax ay bx by xa xb ya"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			zone := func(node string) string {
				if node < "m" {
					return "east"
				}
				return "west"
			}
			got := told(ways(tt.nodes, tt.failing).Locate(func(node string) bool { return strings.Contains(tt.mute, node) }, zone))
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestEveryFailureIsTold: whatever fails between two nodes stands in some fault, and nothing
// else does.
func TestEveryFailureIsTold(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for range 2000 {
		m, failing := tries.Map{}, map[tries.Pair]bool{}
		n := 1 + random.IntN(6)
		for a := range n {
			for b := range n {
				p := tries.Pair{From: fmt.Sprint(a), To: fmt.Sprint(b)}
				if random.IntN(10) == 0 {
					continue // not tried
				}
				m[p] = random.IntN(3) > 0
				if m[p] && a != b {
					failing[p] = true
				}
			}
		}
		before := len(m)
		faults := m.Locate(func(node string) bool { return node == "1" }, func(node string) string { return string(node[0] % 2) })
		for _, f := range faults {
			for _, p := range f.Pairs {
				if !m[p] || p.From == p.To {
					t.Fatalf("%v works, and is told: %s", p, told(faults))
				}
				delete(failing, p)
			}
		}
		if len(failing) > 0 || len(m) != before {
			t.Fatalf("%v are not told by %s (%d ways of %d left)", failing, told(faults), len(m), before)
		}
	}
}
