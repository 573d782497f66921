package cause

import (
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Deeper is a depth at which nobody looked, and the checks that there look for what explains a
// finding.
type Deeper struct {
	Depth  facts.Depth
	Checks []*checks.Check
}

// unasked holds the checks that were skipped because they look deeper, by what they explain.
type unasked struct {
	snapshot *facts.Snapshot
	explain  map[*checks.Check][]checks.Result
	pods     map[*checks.Check][]string // whose words each of them needs: "namespace/name"
}

func newUnasked(s *facts.Snapshot, results []checks.Result) *unasked {
	u := &unasked{s, map[*checks.Check][]checks.Result{}, map[*checks.Check][]string{}}
	for _, r := range results {
		if r.Deeper == 0 {
			continue
		}
		for _, c := range r.Check.Explains {
			u.explain[c] = append(u.explain[c], r)
		}
	}
	return u
}

// of returns where nobody looked for the cause of a finding, the least deep first. What explains it
// only by way of another check that was skipped is found from there.
func (u *unasked) of(n *Node) []Deeper {
	if n.Unexplained {
		return nil
	}
	var out []Deeper
	for d := u.snapshot.Depth + 1; d <= facts.Host; d++ {
		var at []*checks.Check
		for _, r := range u.explain[n.Check] {
			if r.Deeper == d && u.concerns(r.Check, n) {
				at = append(at, r.Check)
			}
		}
		if len(at) > 0 {
			out = append(out, Deeper{d, at})
		}
	}
	return out
}

// concerns tells whether a check would look at what a finding is about. Only of a pod that is known
// beforehand: the logs of CoreDNS tell nothing of a pod of kube-proxy.
func (u *unasked) concerns(c *checks.Check, n *Node) bool {
	if n.Subject.Kind != "Pod" || c.Parts == nil || !slices.ContainsFunc(c.Needs, ofPods) {
		return true
	}
	read, known := u.pods[c]
	if !known {
		for _, p := range checks.WouldRead(u.snapshot, c) {
			if ofPods(p.Source) {
				read = append(read, p.Key)
			}
		}
		u.pods[c] = read
	}
	return slices.ContainsFunc(objects(n), func(r facts.Ref) bool {
		pod := r.Namespace + "/" + r.Name
		return r.Kind == "Pod" && slices.ContainsFunc(read, func(key string) bool { return key == pod || strings.HasPrefix(key, pod+"/") })
	})
}

// ofPods tells whether a source is known pod by pod.
func ofPods(src *facts.Source) bool {
	return src == facts.PodLogs || src == facts.Proxy || src == facts.Metrics || src == facts.Answers
}
