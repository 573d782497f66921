package symptom

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// grace is how long something may be not Ready before that is a finding.
const grace = time.Minute

// NodeNotReady finds nodes whose kubelet does not report Ready.
var NodeNotReady = &checks.Check{
	ID:       "node-not-ready",
	Title:    "Every node is Ready",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/node/node-status/",
	Needs:    []*facts.Source{facts.Nodes},
	Explains: []*checks.Check{PodNotReady},
	ByHand:   []string{"kubectl get nodes -o wide", "kubectl describe node NODE"},
	Run:      findNodesNotReady,
	Doc: `A node is Ready while its kubelet reports so. **False** means that the kubelet says what is
wrong; **Unknown** means that nothing was heard from it for 50 seconds (node-monitor-grace-period): the machine, its
kubelet or the way to the API server is down. No new pod is placed there, and endpoints there leave their Services.

Cure: read the condition's message. On the node: ` + "`systemctl status kubelet`, `journalctl -u kubelet`" + `.`,
}

func findNodesNotReady(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, n := range s.Nodes {
		c := facts.NodeReady(n)
		if c == nil || c.Status == corev1.ConditionTrue || s.Taken.Sub(c.LastTransitionTime.Time) < grace {
			continue
		}
		f := checks.Finding{
			Subject:  facts.NodeRef(n.Name),
			Message:  fmt.Sprintf("is not Ready (%s)", c.Reason),
			Evidence: []checks.Evidence{checks.Quote("Node "+n.Name+", condition Ready", c.Message)},
			Remedy:   "Read the condition's message, then the kubelet's log on the node: journalctl -u kubelet.",
		}
		if s.Joining(n) {
			f.Severity = checks.Info // it may become Ready any moment
		}
		out = append(out, f)
	}
	return out
}
