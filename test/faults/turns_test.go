package faults

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

var every = flag.Bool("every", false, "let every fault happen at every write of a repair that is taken up again, not those alone whose turn it is")

// turns gives each write of a repair that is taken up again some of the faults: at least
// one that comes before the server carries the write out, and one that comes after. Which
// ones goes round among the writes of a kind, over all fixes, so that in the end every fault
// has happened at every kind of write. All of them at each would take as long as
// everything else together. A fix that is tried alone begins the round, and so may meet
// others; -every has all.
type turns struct {
	taken map[string]int             // by the writes of a kind
	tried map[string]map[string]bool // kind, fault by its name in Faults(0)
}

// atOnce is how many faults of either sort a kind of write gets at a time, where only few
// fixes have such a write; of the others it is one.
var atOnce = map[string]int{
	"carried on: POST":   2,
	"taken back: DELETE": 2,
	"carried on: SET":    2,
	"taken back: SET":    2,
	"carried on: DELETE": 8, // all
	"taken back: POST":   8,
}

// kind tells what a write is to the fault that happens to it.
func (h half) kind(write string) string {
	method, object, _ := strings.Cut(write, " ")
	switch {
	case object == "journal":
		method = object
	case strings.HasPrefix(object, "pods/") && method == "DELETE":
		method = "restart"
	}
	if h.back {
		return "taken back: " + method
	}
	return "carried on: " + method
}

// next returns the faults whose turn it is.
func (s *turns) next(kind string) []Fault {
	turn := s.taken[kind]
	s.taken[kind]++
	if s.tried[kind] == nil {
		s.tried[kind] = map[string]bool{}
	}
	all := Faults(turn)
	var out []Fault
	for _, carried := range []bool{false, true} {
		var sort []int
		for i, f := range all {
			if f.Carried == carried {
				sort = append(sort, i)
			}
		}
		n := min(max(1, atOnce[kind]), len(sort))
		if *every {
			n = len(sort)
		}
		for i := range n {
			at := sort[(turn*n+i)%len(sort)]
			out = append(out, all[at])
			s.tried[kind][Faults(0)[at].Name] = true
		}
	}
	return out
}

// missed fails the test where a fault never had its turn.
func (s *turns) missed(t *testing.T) {
	t.Helper()
	for _, kind := range slices.Sorted(maps.Keys(s.tried)) {
		var out []string
		for _, f := range Faults(0) {
			if !s.tried[kind][f.Name] {
				out = append(out, fmt.Sprintf("%q", f.Name))
			}
		}
		if len(out) > 0 {
			t.Errorf("%s: of %d writes none met %s; atOnce must have more of them", kind, s.taken[kind], strings.Join(out, ", "))
		}
	}
}
