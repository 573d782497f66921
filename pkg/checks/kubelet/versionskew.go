package kubelet

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubeproxy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// VersionSkew finds kubelets that are newer than an API server and cannot read the Services
// from it.
var VersionSkew = &checks.Check{
	ID:       "kubelet-version-skew",
	Title:    "No kubelet is too new for the API server that it asks",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/releases/version-skew-policy/#kubelet",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods},
	Explains: []*checks.Check{kubeproxy.PodUnhealthy, symptom.PodNotReady, symptom.ServiceNoEndpoints, symptom.DNSServiceNoEndpoints},
	ByHand: []string{"kubectl get nodes # the column VERSION", "kubectl version", "kubectl describe pod POD",
		"grep server: /etc/kubernetes/kubelet.conf # on the node"},
	Run: findVersionSkew,
	Doc: `Before a kubelet starts a container it must have read the Services, whose addresses it puts into the environment. Until then every
container waits with CreateContainerConfigError, "services have not yet been read at least once, cannot construct envvars", kube-proxy and the
network plugin's agent among them.

A kubelet must not be newer than any API server that it may ask. From 1.31 on it asks for Services in a way that API servers of 1.30 do not
know. That strikes in the middle of an upgrade of several control-plane nodes behind a load balancer: the first one is done, its kubelet
included, and asks an API server of the others. A kubelet that is newer and starts its containers is not told here.

Cure: upgrade all API servers before the first kubelet (` + "`kubeadm upgrade apply`, then `kubeadm upgrade node`" + ` on each control-plane node, and the
package kubelet last). In the middle of it: let ` + "`server`" + ` in /etc/kubernetes/kubelet.conf of the node name its own API server, which
kubeadm does with its feature gate ControlPlaneKubeletLocalMode, and restart the kubelet. The same words without a difference of versions
mean that the kubelet does not get through to the API server at all.`,
}

// unreadServices is what the kubelet says of a container that it cannot give an environment
// (k8s.io/kubernetes pkg/kubelet/kubelet_pods.go).
const unreadServices = "services have not yet been read at least once"

// patience is what a kubelet may take to read the Services after its start.
const patience = 2 * time.Minute

func findVersionSkew(s *facts.Snapshot) []checks.Finding {
	stuck := map[string][]*facts.Pod{}
	for _, p := range s.Pods {
		if p.Node != "" && !p.Deleting && s.Taken.Sub(p.Created.Time()) >= patience && slices.ContainsFunc(p.Containers, servicesUnread) {
			stuck[p.Node] = append(stuck[p.Node], p)
		}
	}
	oldest := oldestServer(s)
	var out []checks.Finding
	for _, n := range s.Nodes {
		if len(stuck[n.Name]) == 0 || oldest.version == "" || minor(oldest.version) >= minor(n.Status.NodeInfo.KubeletVersion) {
			continue
		}
		first := stuck[n.Name][0]
		f := checks.Finding{
			Subject: facts.NodeRef(n.Name),
			Message: "starts no containers: its kubelet is newer than an API server, and cannot read the Services from that",
			Remedy: fmt.Sprintf("Upgrade all API servers to the kubelet's version first, or let the kubelet ask one that has it (server in /etc/kubernetes/kubelet.conf); at the moment one is %s.",
				oldest.version),
			Evidence: []checks.Evidence{checks.Quote(first.Ref().String(), waitingWords(first)),
				checks.Quote("Node "+n.Name+", kubeletVersion", n.Status.NodeInfo.KubeletVersion), checks.Quote(oldest.from, oldest.version)},
		}
		for _, p := range stuck[n.Name] {
			f.Places = append(f.Places, p.Ref())
		}
		out = append(out, f)
	}
	return out
}

func servicesUnread(c facts.Container) bool {
	return c.State.Phase == facts.Waiting && strings.Contains(c.State.Message, unreadServices)
}

func waitingWords(p *facts.Pod) string {
	i := slices.IndexFunc(p.Containers, servicesUnread)
	return p.Containers[i].State.Reason + ": " + p.Containers[i].State.Message
}

// apiServer is one of the cluster's API servers, by what tells its version.
type apiServer struct{ version, from string }

// oldestServer returns the API server of the earliest minor release: the one that answered,
// the image of one that runs as a pod, or, where none does, a kubelet of the control plane,
// which is as a rule no newer than the API server beside it.
func oldestServer(s *facts.Snapshot) apiServer {
	list := []apiServer{{s.Server, "API server"}}
	for _, p := range s.PodsIn("kube-system") {
		if p.Labels["component"] == "kube-apiserver" && len(p.Containers) > 0 {
			image, _, _ := strings.Cut(p.Containers[0].Image, "@")
			list = append(list, apiServer{image[strings.LastIndexByte(image, ':')+1:], p.Ref().String() + ", image"})
		}
	}
	if len(list) == 1 {
		for _, n := range s.Nodes {
			if facts.ControlPlane(n) {
				list = append(list, apiServer{n.Status.NodeInfo.KubeletVersion, "Node " + n.Name + " of the control plane, kubeletVersion"})
			}
		}
	}
	var oldest apiServer
	for _, a := range list {
		if m := minor(a.version); m != 0 && (oldest.version == "" || m < minor(oldest.version)) {
			oldest = a
		}
	}
	return oldest
}

var minorForm = regexp.MustCompile(`^v?1\.(\d+)`)

// minor returns the minor version of a release of Kubernetes 1, or 0.
func minor(version string) int {
	m := minorForm.FindStringSubmatch(version)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // it is digits; too many are no version
	return n
}
