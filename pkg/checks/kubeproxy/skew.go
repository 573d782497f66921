package kubeproxy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// VersionSkew finds versions of kube-proxy that are not supported beside the API server's
// or the kubelet's.
var VersionSkew = &checks.Check{
	ID:       "kube-proxy-version-skew",
	Title:    "kube-proxy's version goes with that of the API server and the kubelets",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/releases/version-skew-policy/#kube-proxy",
	Needs:    []*facts.Source{facts.SystemPods, facts.Nodes},
	When:     noVersion,
	ByHand: []string{"kubectl version", "kubectl -n kube-system get pods -l k8s-app=kube-proxy -o custom-columns=NODE:.spec.nodeName,IMAGE:.spec.containers[0].image",
		"kubectl get nodes"},
	Run: findVersionSkew,
	Doc: `Kubernetes supports a kube-proxy that is not newer than the API server, at most three minor versions older than it, and
at most three older or newer than the kubelet on its node (two, where it is older than 1.25). Outside of that it may work, and
nobody tests it: it may ask for an API that is not there yet or any more, so that it learns of no Service.

**How it comes about**: the DaemonSet's image was changed by hand or by a tool ahead of the control plane, or was forgotten in
several upgrades: managed clusters upgrade the add-on only when told to.

**Cure**: bring kube-proxy to the version of the API server. kubeadm does that in ` + "`kubeadm upgrade apply`" + `; on EKS update
the add-on.`,
}

func noVersion(s *facts.Snapshot) string {
	if _, ok := minor(s.Server); !ok {
		return "the API server does not tell its version"
	}
	return noPods(s)
}

// pair is a kube-proxy's version beside that of its kubelet.
type pair struct {
	owner          facts.Ref
	proxy, kubelet int
}

func findVersionSkew(s *facts.Snapshot) []checks.Finding {
	server, _ := minor(s.Server)
	seen := map[pair][]*facts.Pod{}
	for _, p := range s.KubeProxyPods() {
		n := s.Node(p.Node)
		if n == nil || len(p.Containers) == 0 {
			continue
		}
		own, ok := minor(tag(p.Containers[0].Image))
		kubelet, known := minor(n.Status.NodeInfo.KubeletVersion)
		if ok && known {
			at := pair{p.Owner, own, kubelet}
			seen[at] = append(seen[at], p)
		}
	}
	var out []checks.Finding
	for _, at := range slices.SortedFunc(maps.Keys(seen), comparePairs) {
		if why := at.unsupported(server); why != "" {
			out = append(out, unsupported(s, at, why, seen[at]))
		}
	}
	return out
}

func comparePairs(a, b pair) int {
	return slices.Compare([]int{a.owner.Compare(b.owner), a.proxy, a.kubelet}, []int{0, b.proxy, b.kubelet})
}

// unsupported says how a version of kube-proxy is too far from the others.
func (at pair) unsupported(server int) string {
	span := 3
	if at.proxy < 25 {
		span = 2
	}
	switch {
	case at.proxy > server:
		return "newer than the API server"
	case server-at.proxy > span:
		return fmt.Sprintf("more than %d minor versions older than the API server", span)
	case at.proxy-at.kubelet > span || at.kubelet-at.proxy > span:
		return fmt.Sprintf("more than %d minor versions away from the kubelet beside it", span)
	}
	return ""
}

func unsupported(s *facts.Snapshot, at pair, why string, pods []*facts.Pod) checks.Finding {
	f := checks.Finding{
		Subject: pods[0].Ref(),
		Message: fmt.Sprintf("runs kube-proxy 1.%d, %s", at.proxy, why),
		Evidence: []checks.Evidence{checks.Quote(pods[0].Ref().String()+", image", pods[0].Containers[0].Image), checks.Quote("API server, version", s.Server),
			checks.Quote(facts.NodeRef(pods[0].Node).String()+", kubeletVersion", s.Node(pods[0].Node).Status.NodeInfo.KubeletVersion)},
		Remedy: "Give kube-proxy the version of the API server: kubeadm upgrade apply, or the add-on of the platform.",
	}
	if at.owner.Kind == "DaemonSet" {
		f.Subject = at.owner
	}
	for _, p := range pods {
		f.Places = append(f.Places, p.Ref())
	}
	return f
}
