package symptom

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// PodNotReady finds pods of the network stack that are not Ready.
var PodNotReady = &checks.Check{
	ID:       "pod-not-ready",
	Title:    "Every pod of the network stack is Ready",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/",
	Needs:    []*facts.Source{facts.Pods},
	MayUse:   []*facts.Source{facts.Events, facts.Proxy},
	Explains: []*checks.Check{ServiceNoEndpoints, DNSServiceNoEndpoints},
	ByHand: []string{"kubectl get pods -A -o wide", "kubectl -n NAMESPACE describe pod POD",
		"kubectl -n NAMESPACE logs POD --all-containers --previous"},
	Run: findPodsNotReady,
	Doc: `The pods of cluster DNS, kube-proxy and the network plugin carry everybody else's traffic. One that is
not Ready serves nothing: CoreDNS leaves the endpoints of its Service, kube-proxy and the plugin's agent stop keeping
their node up to date.

Cure: ` + "`kubectl describe pod`" + ` shows the state of each container and the events; a container that crashed left
its last words in ` + "`kubectl logs --previous`" + `.`,
}

func findPodsNotReady(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	stack := plugins.Stack(s)
	for _, p := range stack {
		if p.Ready || p.Deleting || young(s, p) {
			continue
		}
		f := checks.Finding{
			Subject:  p.Ref(),
			Message:  fmt.Sprintf("is not Ready (%s)", p.Trouble()),
			Evidence: podEvidence(s, p),
			Remedy:   "Describe the pod and read its previous log.",
		}
		if spare(p, stack) {
			f.Severity = checks.Info
		}
		out = append(out, f)
	}
	return out
}

// spare tells whether a pod has no node, and others of its Deployment serve: it takes nothing
// from anybody, and whether it is missed is for others to say.
func spare(p *facts.Pod, stack []*facts.Pod) bool {
	return p.Node == "" && p.Owner.Kind == "Deployment" &&
		slices.ContainsFunc(stack, func(other *facts.Pod) bool { return other.Owner == p.Owner && other.Ready && !other.Deleting })
}

// young tells whether a pod is still within its grace: just made, and nothing in it
// has failed yet.
func young(s *facts.Snapshot, p *facts.Pod) bool {
	failed := slices.ContainsFunc(p.Containers, func(c facts.Container) bool { return c.Restarts > 0 })
	return !failed && p.Crashing() == nil && s.Taken.Sub(p.Created.Time()) < grace
}

func podEvidence(s *facts.Snapshot, p *facts.Pod) []checks.Evidence {
	var out []checks.Evidence
	for _, c := range p.Containers {
		from := fmt.Sprintf("%s, container %s", p.Ref(), c.Name)
		switch {
		case c.Last().Phase == facts.Terminated:
			out = append(out, checks.Quote(from, fmt.Sprintf("restarted %d times, last exit: %s, code %d", c.Restarts, c.Last().Reason, c.Last().ExitCode)))
		case c.State.Phase == facts.Waiting && c.State.Message != "":
			out = append(out, checks.Quote(from, c.State.Reason+": "+c.State.Message))
		}
	}
	if p.Unschedulable() != "" {
		out = append(out, checks.Quote(p.Ref().String()+", condition PodScheduled", p.Unschedulable()))
	}
	if body := strings.TrimSpace(s.Proxy[p.Namespace+"/"+p.Name+"/8181/ready"]); body != "" && body != "OK" {
		// The ready plugin of CoreDNS answers with the plugins that it waits for.
		out = append(out, checks.Quote(p.Ref().String()+", GET :8181/ready", "waits for: "+body))
	}
	if e := s.LastWarning(p.Ref()); len(out) == 0 && e != nil {
		out = append(out, checks.Quote(p.Ref().String()+", event "+e.Reason, e.Message))
	}
	return out
}
