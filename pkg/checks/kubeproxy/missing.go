package kubeproxy

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// Missing finds clusters and nodes on which nothing does the work of kube-proxy.
var Missing = &checks.Check{
	ID:       "kube-proxy-missing",
	Title:    "kube-proxy, or something in its place, runs on every node",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/#is-kube-proxy-running",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.DaemonSets, facts.ConfigMaps},
	MayUse:   []*facts.Source{facts.SystemEvents},
	When:     unanswerable,
	Explains: []*checks.Check{symptom.PodNotReady, coredns.APIUnreachable, coredns.NotSynced, RulesMissing, traffic.ServicePath, symptom.DNSProbeCluster},
	ByHand: []string{"kubectl -n kube-system get daemonset kube-proxy",
		"kubectl -n kube-system get pods -l k8s-app=kube-proxy -o wide", "kubectl describe node NODE"},
	Run: findMissing,
	Doc: `kube-proxy makes the addresses of Services lead to pods, on each node for itself. Where it does not run, new
Services and endpoints never take effect; after a restart of the node no Service works there at all: not cluster DNS, not
the API server's own address, so that network plugins and CoreDNS do not come up either.

**How it comes about**: the DaemonSet was deleted, its nodeSelector or affinity leaves a node out, it does not tolerate a
node's taint, or the cluster was installed without kube-proxy and nothing was put in its place. Cilium, Calico's eBPF mode
and others replace kube-proxy, and k3s, RKE2 and MicroK8s bring their own: there its absence is no fault. Where nothing of
the kind is recognised but CoreDNS is Ready and no configuration of kube-proxy is left, something unknown serves: CoreDNS
becomes Ready only after it has reached the API server through a Service. That, too, is no finding.

**Cure**: let the DaemonSet reach the node again (nodeSelector, affinity, tolerations: kubeadm's has ` + "`operator: Exists`" + `).
Where the DaemonSet is gone, ` + "`kubeadm init phase addon kube-proxy`" + ` on a control-plane node makes it anew.`,
}

// unanswerable says why the absence of kube-proxy means nothing here, or "".
func unanswerable(s *facts.Snapshot) string {
	if why := plugins.ServiceProxy(s); why != "" {
		return why
	}
	nodes := s.LinuxNodes()
	if len(nodes) == 0 {
		return "there is no Linux node"
	}
	found := len(s.KubeProxyPods()) + len(s.KubeProxyDaemonSets())
	if found == 0 && !slices.ContainsFunc(nodes, func(n *corev1.Node) bool { return !autoMode(n) }) {
		return "the nodes of EKS Auto Mode run the proxy themselves"
	}
	ready := func(n *corev1.Node) bool {
		c := facts.NodeReady(n)
		return c != nil && c.Status == corev1.ConditionTrue
	}
	if found == 0 && !slices.ContainsFunc(nodes, ready) && len(waiting(s)) == 0 {
		return "there is no kube-proxy, but no node is Ready yet to run one"
	}
	return ""
}

// autoMode tells whether EKS Auto Mode made a node: it runs the proxy on the host.
func autoMode(n *corev1.Node) bool { return n.Labels["eks.amazonaws.com/compute-type"] == "auto" }

func findMissing(s *facts.Snapshot) []checks.Finding {
	sets, pods := s.KubeProxyDaemonSets(), s.KubeProxyPods()
	if len(pods) == 0 {
		return absent(s, sets)
	}
	return uncovered(s, sets, pods)
}

// absent reports that no kube-proxy runs at all. Whether something unknown serves in
// its place is told by CoreDNS, which needs a Service to become Ready.
func absent(s *facts.Snapshot, sets []*appsv1.DaemonSet) []checks.Finding {
	left := leftConfig(s)
	if left == nil && len(sets) == 0 && slices.ContainsFunc(s.DNSPods(), func(p *facts.Pod) bool { return p.Ready }) {
		return nil
	}
	f := checks.Finding{
		Subject: facts.Cluster(), Severity: checks.Warning,
		Message:  "runs no kube-proxy and nothing known that replaces it",
		Evidence: []checks.Evidence{checks.Quote("DaemonSets and pods of kube-system", "no kube-proxy")},
		Remedy:   "Install it (kubeadm init phase addon kube-proxy), or a network plugin that replaces it; then restart CoreDNS.",
	}
	if len(sets) > 0 {
		d := sets[0]
		if s.Taken.Sub(d.CreationTimestamp.Time) < 3*grace {
			return nil
		}
		f.Subject = setRef(d)
		f.Message = "runs kube-proxy on no node, and nothing known replaces it"
		f.Evidence = append(reasons(s, d), failedCreate(s, d)...)
		f.Remedy = "Let its nodeSelector and affinity match the Linux nodes (kubeadm's is kubernetes.io/os: linux)."
	} else if left != nil {
		f.Evidence = append(f.Evidence, checks.Quote(left.String(), "is left of a kube-proxy that no DaemonSet runs any more"))
	}
	for _, p := range waiting(s) {
		f.Severity = checks.Error
		f.Evidence = append(f.Evidence, checks.Quote(p.Ref().String(), "runs, but is not Ready: it must reach the API server through a Service first"))
	}
	return []checks.Finding{f}
}

// waiting returns the pods of cluster DNS that were started and are not Ready.
func waiting(s *facts.Snapshot) []*facts.Pod {
	var out []*facts.Pod
	for _, p := range s.DNSPods() {
		if !p.Ready && len(checks.PodLogs([]*facts.Pod{p})) > 0 && s.Taken.Sub(p.Created.Time()) >= grace {
			out = append(out, p)
		}
	}
	return out
}

// leftConfig returns a ConfigMap that holds kube-proxy's configuration, or nil.
func leftConfig(s *facts.Snapshot) *facts.Ref {
	for _, cm := range s.ConfigMaps {
		if cm.Namespace == "kube-system" && configKey(cm) != "" {
			return &facts.Ref{Kind: "ConfigMap", Namespace: cm.Namespace, Name: cm.Name}
		}
	}
	return nil
}

// uncovered reports the nodes without kube-proxy where others have it.
func uncovered(s *facts.Snapshot, sets []*appsv1.DaemonSet, pods []*facts.Pod) []checks.Finding {
	covered, unbound := map[string]bool{}, false
	for _, p := range pods {
		covered[p.Node] = true
		unbound = unbound || p.Node == ""
	}
	var out []checks.Finding
	for _, n := range s.LinuxNodes() {
		if covered[n.Name] || autoMode(n) || silent(n) || s.Taken.Sub(n.CreationTimestamp.Time) < 3*grace {
			continue
		}
		if f := without(s, n, sets, unbound); f != nil {
			out = append(out, *f)
		}
	}
	return out
}

// without tells why a node has no kube-proxy, or returns nil where that may pass by
// itself: a pod that waits for a node, or an update that replaces it just now.
func without(s *facts.Snapshot, n *corev1.Node, sets []*appsv1.DaemonSet, unbound bool) *checks.Finding {
	f := &checks.Finding{Subject: facts.NodeRef(n.Name)}
	if len(sets) == 0 {
		f.Severity = checks.Warning // the mirror of a static pod may be all that is missing
		f.Message = "has no kube-proxy pod, unlike other nodes"
		f.Evidence = []checks.Evidence{checks.Quote("pods of kube-system on Node "+n.Name, "no kube-proxy")}
		f.Remedy = "Compare the static pod manifests of its kubelet (/etc/kubernetes/manifests) with those of another node."
		return f
	}
	for _, d := range sets {
		why := facts.Excluded(&d.Spec.Template.Spec, n)
		switch {
		case why.Text == "" && (unbound || rolling(d)):
			return nil
		case why.Text == "":
			f.Message = fmt.Sprintf("runs no kube-proxy, although DaemonSet %s/%s is meant for it", d.Namespace, d.Name)
			f.Evidence = append([]checks.Evidence{checks.Quote("pods of kube-system on Node "+n.Name, "no kube-proxy")}, failedCreate(s, d)...)
			f.Remedy = "Read the DaemonSet's events: its pods may be refused (admission, quota), or its controller may stand still."
			return f
		case f.Message == "":
			f.Message = fmt.Sprintf("runs no kube-proxy: DaemonSet %s/%s %s", d.Namespace, d.Name, why.Text)
			f.Evidence = []checks.Evidence{checks.Quote(fmt.Sprintf("DaemonSet %s/%s, %s", d.Namespace, d.Name, why.Field), why.Quote),
				checks.Quote("Node "+n.Name, why.Node)}
			f.Remedy = why.Cure
		}
	}
	return f
}

// rolling tells whether a DaemonSet is replacing its pods, so that a node has none for
// a moment.
func rolling(d *appsv1.DaemonSet) bool {
	return d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedNumberScheduled < d.Status.DesiredNumberScheduled
}

// reasons says, each once, why a DaemonSet leaves the nodes out.
func reasons(s *facts.Snapshot, d *appsv1.DaemonSet) []checks.Evidence {
	from := setRef(d).String()
	var out []checks.Evidence
	for _, n := range s.LinuxNodes() {
		if why := facts.Excluded(&d.Spec.Template.Spec, n); why.Text != "" {
			if e := checks.Quote(from+", "+why.Field, why.Quote); !slices.Contains(out, e) {
				out = append(out, e)
			}
		}
	}
	if len(out) == 0 {
		out = append(out, checks.Quote(from, strings.TrimSpace(fmt.Sprintf("%d pods desired, none there", d.Status.DesiredNumberScheduled))))
	}
	return out
}

func failedCreate(s *facts.Snapshot, d *appsv1.DaemonSet) []checks.Evidence {
	if e := s.LastWarning(setRef(d)); e != nil {
		return []checks.Evidence{checks.Quote(setRef(d).String()+", event "+e.Reason, e.Message)}
	}
	return nil
}

func setRef(d *appsv1.DaemonSet) facts.Ref {
	return facts.Ref{Kind: "DaemonSet", Namespace: d.Namespace, Name: d.Name}
}
