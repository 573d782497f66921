package kubeproxy

import (
	"fmt"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// ReplacementConflict finds kube-proxy beside a Cilium that does its work.
var ReplacementConflict = &checks.Check{
	ID:       "kube-proxy-replacement-conflict",
	Title:    "Either kube-proxy or Cilium makes Services work, not both",
	Severity: checks.Warning,
	URL:      "https://docs.cilium.io/en/stable/network/kubernetes/kubeproxy-free/",
	Needs:    []*facts.Source{facts.ConfigMaps, facts.SystemDaemonSets, facts.SystemPods},
	When:     noDaemonSet,
	ByHand: []string{"kubectl -n kube-system get configmap cilium-config -o yaml | grep kube-proxy-replacement",
		"kubectl -n kube-system get daemonset kube-proxy", "kubectl -n kube-system exec daemonset/cilium -- cilium-dbg status | grep KubeProxyReplacement"},
	Run: findReplacementConflict,
	Doc: `Cilium is told to replace kube-proxy, and kube-proxy runs as well. Each translates the addresses of Services by itself
and knows nothing of the other's connections. When one of them is added or removed, connections that exist break, since
neither knows what the other has translated. Beside that the nodes do the work twice, and kube-proxy's rules are kept for
nothing.

**How it comes about**: Cilium was installed with kubeProxyReplacement=true into a cluster in which kube-proxy ran, or kubeadm
installed kube-proxy anew in an upgrade because its ConfigMap was left.

**Cure**: be sure that Cilium is told the API server's own address (k8sServiceHost and k8sServicePort, not the address of the
Service). Then delete kube-proxy's DaemonSet and its ConfigMap, and on each node the rules that it leaves
(` + "`iptables-save | grep -v KUBE | iptables-restore`" + `), or start the node anew: existing connections to Services break once.
Or set kubeProxyReplacement=false.`,
}

// moving is how long the two may stand side by side while one takes over from the other.
const moving = time.Hour

func findReplacementConflict(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range proxies(s) {
		for _, cm := range s.ConfigMaps {
			value := cm.Data["kube-proxy-replacement"]
			if value != "true" && value != "strict" || !facts.SystemNamespace(cm.Namespace) || !ciliumRuns(s, cm.Namespace) {
				continue
			}
			where := fmt.Sprintf("ConfigMap %s/%s, key kube-proxy-replacement", cm.Namespace, cm.Name)
			out = append(out, checks.Finding{
				Subject: setRef(p.set),
				Message: "runs kube-proxy although Cilium is told to do its work",
				Evidence: []checks.Evidence{checks.Quote(where, value),
					checks.Quote(setRef(p.set).String()+", status", fmt.Sprintf("%d pods desired", p.set.Status.DesiredNumberScheduled))},
				Remedy: "Tell Cilium the API server's own address (k8sServiceHost), then delete this DaemonSet and its ConfigMap; or set kubeProxyReplacement=false.",
			})
		}
	}
	return out
}

// ciliumRuns tells whether a namespace has an agent of Cilium that was there for a while.
func ciliumRuns(s *facts.Snapshot, namespace string) bool {
	for _, p := range s.PodsIn(namespace) {
		if a := plugins.Agent(p); a != nil && a.ID == "cilium" && s.Taken.Sub(p.Created.Time()) >= moving {
			return true
		}
	}
	return false
}
