package states

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Verdict is what check says of a state, held against what it should say.
type Verdict struct {
	*State
	Snapshot *facts.Snapshot
	Results  []checks.Result
	Roots    []*cause.Node

	Named  string   // the check of the first root
	Below  []string // the checks folded below it
	Extra  []string // further roots, Warning and above, that the state does not know of
	Wrongs []string // why this is not what it should be; empty where it is
}

// Judge runs every check over a state.
func Judge(s *State) (*Verdict, error) {
	snapshot, err := s.Snapshot()
	if err != nil {
		return nil, err
	}
	return Weigh(s, snapshot), nil
}

// Weigh judges what was seen of a state, be it of its fixture or in a cluster that it was
// loaded into.
func Weigh(s *State, snapshot *facts.Snapshot) *Verdict {
	v := &Verdict{State: s, Snapshot: snapshot, Results: checks.Run(snapshot, all.Checks())}
	v.Roots = slices.DeleteFunc(cause.Roots(snapshot, v.Results), func(n *cause.Node) bool {
		return n.Severity < checks.Warning && !slices.Contains(s.Expect, n.Check.ID) && !slices.Contains(s.Also, n.Check.ID)
	})
	for i, n := range v.Roots {
		id := n.Check.ID
		if i == 0 {
			v.Named, v.Below = id, folded(n)
		}
		if !slices.Contains(s.Expect, id) && !slices.Contains(s.Also, id) && !slices.Contains(v.Extra, id) {
			v.Extra = append(v.Extra, id)
		}
	}
	v.judge()
	return v
}

func folded(n *cause.Node) []string {
	var out []string
	for _, s := range n.Symptoms {
		out = append(out, s.Check.ID)
		out = append(out, folded(s)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (v *Verdict) judge() {
	if len(v.Expect) > 0 && !slices.Contains(v.Expect, v.Named) {
		v.Wrongs = append(v.Wrongs, fmt.Sprintf("the first root is %q, not %s", v.Named, strings.Join(v.Expect, " or ")))
	}
	if len(v.Extra) > 0 {
		v.Wrongs = append(v.Wrongs, "roots that the state does not know of: "+strings.Join(v.Extra, ", "))
	}
	all := v.everythingFolded()
	for _, id := range v.Folded {
		if !slices.Contains(all, id) {
			v.Wrongs = append(v.Wrongs, id+" is not folded below a root")
		}
	}
	for _, r := range v.Results {
		if strings.HasPrefix(r.Reason, "internal error") {
			v.Wrongs = append(v.Wrongs, r.Check.ID+": "+r.Reason)
		}
	}
}

func (v *Verdict) everythingFolded() []string {
	var out []string
	for _, n := range v.Roots {
		out = append(out, folded(n)...)
	}
	return out
}

// Settled tells whether API objects and logs settle the cause.
func (v *Verdict) Settled() bool {
	depth, err := facts.ParseDepth(v.Depth)
	return err == nil && depth <= facts.Logs
}
