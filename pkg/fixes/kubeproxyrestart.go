package fixes

import (
	"errors"
	"fmt"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubeproxy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// KubeProxyRestart lets all kube-proxies read their configuration.
var KubeProxyRestart = &Fix{
	ID:     "kubeproxy-restart",
	Title:  "Restart kube-proxy on all nodes, one after the other",
	For:    []*checks.Check{kubeproxy.ConfigStale, kubeproxy.ModeMismatch},
	Risk:   Disrupts,
	Settle: proxySettles,
	Plan:   planKubeProxyRestart,
	Doc: `Restarts the DaemonSet of kube-proxy as kubectl rollout restart does, so that every node takes the configuration that is there
now. A kube-proxy that changes its mode makes the rules of its node anew and takes those of the old mode away: for seconds connections to
Services may fail on that node, and NodePorts may answer on other addresses than before.

It is refused where the configuration is one with which kube-proxy would exit, or with a mode that a node cannot do: the restart would then
take kube-proxy down, node after node. It is refused for static pods, which no API restarts. If the old mode is the right one, set mode in the
ConfigMap back instead. "kubectl netdoctor undo" takes the mark of the restart back, which restarts the pods once more; it does not
bring the old mode back.`,
}

func planKubeProxyRestart(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	sets := concerned(s, f)
	if len(sets) == 0 {
		return Plan{}, errors.New("no DaemonSet runs these kube-proxies: restart them on their nodes, by moving their manifests out of /etc/kubernetes/manifests and back")
	}
	var plan Plan
	for _, p := range sets {
		if err := bears(s, p); err != nil {
			return Plan{}, err
		}
		if err := plan.roll(s, p.Set); err != nil {
			return Plan{}, err
		}
	}
	plan.Warnings = []string{"It does not stop at the nodes that differ: each takes the configuration that is there now, and its rules are written anew."}
	return plan, nil
}

// bears tells why a kube-proxy would not come back from a restart.
func bears(s *facts.Snapshot, p kubeproxy.Proxy) error {
	if bad := p.Fatal(); len(bad) > 0 {
		return fmt.Errorf("kube-proxy would not start again: %s %s", bad[0].Subject, bad[0].Message)
	}
	for _, r := range checks.Run(s, []*checks.Check{kubeproxy.ConfigInvalid, kubeproxy.NFTKernel, kubeproxy.IPVSUnusable, kubeproxy.Kubeconfig}) {
		for _, f := range r.Findings {
			if r.Check != kubeproxy.ConfigInvalid || p.Config == nil {
				return fmt.Errorf("kube-proxy would not work after a restart: %s %s; cure %s first", f.Subject, f.Message, r.Check.ID)
			}
		}
	}
	return nil
}

// KubeProxyRestartPod makes one kube-proxy anew.
var KubeProxyRestartPod = &Fix{
	ID:     "kubeproxy-restart-pod",
	Title:  "Delete the pod of kube-proxy on one node, so that it writes its rules anew",
	For:    []*checks.Check{kubeproxy.SyncErrors, kubeproxy.NotSynced},
	Risk:   Restarts,
	Settle: 190 * time.Second, // before that nobody asks a kube-proxy whether its rules are written
	Plan:   planKubeProxyRestartPod,
	Doc: `Deletes the pod of kube-proxy on one node. The DaemonSet makes another at once; it reads all Services and endpoints again and writes
all of its rules, and not only what has changed. The rules of before stay in the kernel meanwhile. No object is changed, so there is nothing to
take back.

It helps where kube-proxy itself is stuck. It is refused where its log names what it does not get past: another program that holds the lock, a
module or a feature that the kernel lacks, rules of others that its tools cannot read. It is refused, too, where kube-proxy would not
start again by its configuration, and for static pods. Whether it has helped is judged after three minutes, when a new kube-proxy is asked for
the first time.`,
}

func planKubeProxyRestartPod(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	p := s.Pod(f.Subject.Namespace, f.Subject.Name)
	switch {
	case f.Subject.Kind != facts.Pods.Kind || p == nil:
		return Plan{}, errors.New("the finding is about no single pod")
	case p.Static || p.Owner.Kind != "DaemonSet":
		return Plan{}, fmt.Errorf("%s is made by no DaemonSet, so that nothing would make it anew; restart it on its node", p.Ref())
	case !kubeproxy.Transient(f):
		return Plan{}, fmt.Errorf("a new kube-proxy would meet the same on the node: it %s. %s", f.Message, f.Remedy)
	}
	for _, set := range concerned(s, checks.Finding{Subject: p.Owner}) {
		if err := bears(s, set); err != nil {
			return Plan{}, err
		}
	}
	return Plan{Restarts: []*facts.Pod{p}, Rollouts: []facts.Ref{p.Owner},
		Warnings: []string{"If the same comes again, read the lines below the error in its log: they name the rule that the kernel refuses."}}, nil
}
