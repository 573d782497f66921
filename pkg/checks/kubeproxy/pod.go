package kubeproxy

import (
	"fmt"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// PodUnhealthy finds pods of kube-proxy that crash, do not start, or say in their log
// that they cannot do their work.
var PodUnhealthy = &checks.Check{
	ID:       "kube-proxy-pod-unhealthy",
	Title:    "Every pod of kube-proxy runs",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/#is-the-kube-proxy-working",
	Needs:    []*facts.Source{facts.SystemPods},
	MayUse:   []*facts.Source{facts.PodLogs, facts.Nodes, facts.SystemEvents},
	When:     noPods,
	Explains: []*checks.Check{symptom.PodNotReady, NotSynced, coredns.APIUnreachable, coredns.NotSynced, traffic.ServicePath, symptom.DNSProbeCluster},
	ByHand: []string{"kubectl -n kube-system get pods -l k8s-app=kube-proxy -o wide",
		"kubectl -n kube-system logs POD --previous", "kubectl -n kube-system describe pod POD"},
	Run: findPodUnhealthy,
	Doc: `kube-proxy keeps the rules of its node that lead from the addresses of Services to pods. While it is down, the
rules stay as they were: existing Services work on for a time, new endpoints are not seen. After a restart of the node
there are none.

**How it comes about**: kube-proxy exits where it dislikes its configuration, where the kernel lacks what the mode needs
(iptables, IPVS modules, nftables from kernel 5.13), or where it may not set the node's conntrack limits, as in kind,
minikube and k3d on hosts that make these read-only. Its last words say which, and stand in the previous log. It has no readiness probe:
a pod may be Ready and yet learn nothing, because the API server is out of reach or forbids it to read. That is told from the
log where the log was read. (One that cannot write its rules is **kube-proxy-sync-errors**.)

**Cure**: that of the message. Deleting the pod helps only where the cause was passing.`,
}

func noPods(s *facts.Snapshot) string {
	if len(s.KubeProxyPods()) == 0 {
		return "there are no pods of kube-proxy"
	}
	return ""
}

func findPodUnhealthy(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range s.KubeProxyPods() {
		if n := s.Node(p.Node); p.Deleting || n != nil && silent(n) {
			continue
		}
		f := ill(s, p)
		if f.Message == "" {
			continue
		}
		f.Subject = p.Ref()
		f.Places = []facts.Ref{coredns.APIService()} // which leads nowhere from this node, if it was never synced
		out = append(out, f)
	}
	return out
}

// ill says what is wrong with a pod; the message is empty where nothing is.
func ill(s *facts.Snapshot, p *facts.Pod) checks.Finding {
	c := p.Crashing()
	if c == nil {
		c = restarting(s, p)
	}
	switch {
	case c != nil:
		return crashed(s, p, c)
	case !p.Ready && s.Taken.Sub(p.Created.Time()) >= grace:
		return notReady(s, p)
	case p.Ready:
		return stuck(s, p)
	}
	return checks.Finding{}
}

// starting is longer than kube-proxy takes from its start to an error that ends it.
const starting = 10 * time.Second

// restarting returns the container that runs just now but keeps ending with an error: without a
// readiness probe such a pod counts as Ready in between. That it ended once is enough where it has not
// run for longer than the seconds that starting takes.
func restarting(s *facts.Snapshot, p *facts.Pod) *facts.Container {
	for i := range p.Containers {
		c := &p.Containers[i]
		begun := c.State.Phase == facts.Running && s.Taken.Sub(c.State.Started.Time()) < starting
		if (begun || c.Restarts >= 3) && c.Last().Phase == facts.Terminated && c.Last().ExitCode != 0 && s.Taken.Sub(c.Last().Finished.Time()) < 10*time.Minute {
			return c
		}
	}
	return nil
}

func crashed(s *facts.Snapshot, p *facts.Pod, c *facts.Container) checks.Finding {
	end := c.Last()
	if c.State.Phase == facts.Terminated {
		end = c.State
	}
	exit := checks.Quote(fmt.Sprintf("%s, container %s", p.Ref(), c.Name),
		fmt.Sprintf("restarted %d times, last exit: %s, code %d", c.Restarts, end.Reason, end.ExitCode))
	if end.Reason == "OOMKilled" {
		return checks.Finding{Message: "is killed because it uses more memory than its limit", Remedy: "Raise or remove the memory limit of the DaemonSet's container.",
			Evidence: []checks.Evidence{exit}}
	}
	log := s.Logs[p.Namespace+"/"+p.Name+"/"+c.Name]
	if f, found := lastWords(p, log); found {
		f.Evidence = append(f.Evidence, exit)
		return f
	}
	return checks.Finding{
		Message:  fmt.Sprintf("crashes (exit code %d)", end.ExitCode),
		Remedy:   checks.Command("Read its last words: kubectl -n %s logs --previous, for one of the pods.", p.Namespace),
		Evidence: []checks.Evidence{exit},
	}
}

// notReady reports a pod that does not get as far as running, or fails its probe.
func notReady(s *facts.Snapshot, p *facts.Pod) checks.Finding {
	return checks.Finding{
		Message:  fmt.Sprintf("does not become Ready (%s)", p.Trouble()),
		Remedy:   "Do what its state and events ask for; kubectl describe shows both.",
		Evidence: checks.QuoteWaiting(s, p),
	}
}
