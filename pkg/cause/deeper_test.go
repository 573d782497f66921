package cause_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// TestDeeper: a root names the checks that were skipped for their depth and explain it, each at its
// depth, and no check that looks at other pods.
func TestDeeper(t *testing.T) {
	var (
		unready  = check("pod-unready", checks.Error)
		deaf     = check("dns-deaf", checks.Error, unready)
		loop     = check("dns-loops", checks.Error, unready)
		dropping = check("node-drops", checks.Error, unready, deaf)
		full     = check("node-full", checks.Error, unready)
		clock    = check("node-clock", checks.Error)
	)
	loop.Needs = []*facts.Source{facts.PodLogs}
	loop.Parts = func(*facts.Snapshot) []checks.Part {
		return []checks.Part{{Source: facts.PodLogs, Key: "kube-system/dns-1"}, {Source: facts.Configz, Key: "web/front-1"}}
	}
	broken := check("dns-odd", checks.Error, unready)
	broken.Needs, broken.Parts = loop.Needs, func(*facts.Snapshot) []checks.Part { panic("no such pod") }
	skipped := func(c *checks.Check, d facts.Depth) checks.Result {
		return checks.Result{Check: c, Status: checks.Skipped, Deeper: d}
	}
	unasked := []checks.Result{skipped(dropping, facts.Host), skipped(loop, facts.Probe), skipped(full, facts.Host), skipped(broken, facts.Probe), skipped(clock, facts.Host)}
	dnsPod, webPod := about("Pod/kube-system/dns-1", "is not Ready"), about("Pod/web/front-1", "is not Ready")
	for _, tt := range []struct {
		name    string
		results []checks.Result
		want    string
	}{
		{"nothing was skipped for its depth", []checks.Result{result(unready, dnsPod), {Check: full, Status: checks.Skipped}, {Check: dropping, Status: checks.OK}}, "pod-unready"},
		{"the pod that a check looks at", append(unasked, result(unready, dnsPod)), "pod-unready probe: dns-loops; host: node-drops node-full"},
		{"another pod", append(unasked, result(unready, webPod)), "pod-unready host: node-drops node-full"},
		{"one of its places", append(unasked, result(unready, about("Pod/web/front-1", "is not Ready", "Pod/kube-system/dns-1"))), "pod-unready probe: dns-loops; host: node-drops node-full"},
		{"no pod", append(unasked, result(unready, about("Node/oak", "has none that is Ready"))), "pod-unready probe: dns-loops dns-odd; host: node-drops node-full"},
		{"only the root", append(unasked, result(unready, dnsPod), result(deaf, dnsPod)), "dns-deaf host: node-drops"},
		{"nothing can explain it", append(unasked, result(unready, itself("Pod/kube-system/dns-1", "has no disk"))), "pod-unready"},
	} {
		var got []string
		var told func(nodes []*cause.Node)
		told = func(nodes []*cause.Node) {
			for _, n := range nodes {
				if len(got) == 0 || len(n.Deeper) > 0 {
					got = append(got, n.Check.ID+deeper(n))
				}
				told(n.Symptoms)
			}
		}
		told(cause.Roots(village(t, corev1.ConditionTrue), tt.results))
		if text := strings.Join(got, "\n"); text != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, text, tt.want)
		}
	}
}

func deeper(n *cause.Node) string {
	var out []string
	for _, d := range n.Deeper {
		text := fmt.Sprintf(" %s:", d.Depth)
		for _, c := range d.Checks {
			text += " " + c.ID
		}
		out = append(out, text)
	}
	return strings.Join(out, ";")
}
