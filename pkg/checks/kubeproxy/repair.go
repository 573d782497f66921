package kubeproxy

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/kube-proxy/config/v1alpha1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Proxy is a DaemonSet of kube-proxy as a repair sees it. Nothing of it may be changed.
type Proxy struct {
	Set        *appsv1.DaemonSet
	Pods       []*facts.Pod
	Config     *File // what --config names; nil where that is not in the API
	Kubeconfig *File // what the configuration names; nil where that is not in the API

	p *proxy
}

// File is a file of kube-proxy: a key of a ConfigMap.
type File struct {
	ConfigMap *corev1.ConfigMap
	Key, Text string
}

// Proxies returns the DaemonSets of kube-proxy.
func Proxies(s *facts.Snapshot) []Proxy {
	var out []Proxy
	for _, p := range templates(s) {
		for _, pod := range s.KubeProxyPods() {
			if pod.Owner == setRef(p.set) {
				p.pods = append(p.pods, pod)
			}
		}
		of := Proxy{Set: p.set, Pods: p.pods, p: p}
		if file := of.Flag("config"); file != "" {
			at, _ := p.open(use{is: configKind.MatchString}, file)
			of.Config = fileOf(at)
		}
		if k := p.kubeconfig(); k != nil {
			of.Kubeconfig = fileOf(k.at)
		}
		out = append(out, of)
	}
	return out
}

func fileOf(at *text) *File {
	if at == nil {
		return nil
	}
	return &File{at.configMap, at.key, at.data}
}

// Ref names the DaemonSet.
func (p Proxy) Ref() facts.Ref { return setRef(p.Set) }

// Container is kube-proxy's.
func (p Proxy) Container() *corev1.Container { return &p.Set.Spec.Template.Spec.Containers[0] }

// Flag returns the value of a flag of its command line, or "".
func (p Proxy) Flag(name string) string { return flag(p.Container(), name) }

// Settings decodes a configuration as kube-proxy does.
func Settings(text string) (*v1alpha1.KubeProxyConfiguration, error) {
	config, _, err := decode(text)
	return config, err
}

// Judge returns what is wrong with a configuration that would stand in place of the one
// that is there.
func (p Proxy) Judge(config File) []checks.Finding {
	return p.p.content(&text{config.ConfigMap, config.Key, config.Text})
}

// Fatal returns what kube-proxy exits with, when it is started with the configuration that
// is there.
func (p Proxy) Fatal() []checks.Finding {
	if p.Config == nil {
		return nil
	}
	return slices.DeleteFunc(p.Judge(*p.Config), func(f checks.Finding) bool { return strings.HasPrefix(f.Message, ignoring) })
}

// Gates returns the feature gates of its configuration of which its pods say that they do
// not know them, or do not allow them to be set so.
func (p Proxy) Gates() []string {
	config, err := Settings(p.Config.Text)
	if err != nil {
		return nil
	}
	var out []string
	for _, pod := range p.Pods {
		said, found := lastOfAny(p.p.s, pod)
		for _, w := range []words{unknownGate, lockedGate} {
			if !found {
				continue
			}
			m := w.re.FindStringSubmatch(said.Evidence[0].Text)
			if m == nil || slices.Contains(out, m[1]) {
				continue
			}
			if _, here := config.FeatureGates[m[1]]; here {
				out = append(out, m[1])
			}
		}
	}
	return out
}

// Server returns the URL of the API server in its kubeconfig, or "" where that is not
// certain.
func (p Proxy) Server() string {
	if k := p.p.kubeconfig(); k != nil {
		return k.server()
	}
	return ""
}

// RightServer returns the URL by which kube-proxy reaches the API server instead of the
// one that it is given, and where that stands. What kubeadm was told goes before all
// else; without it the addresses of the API servers count, if there is only one.
func RightServer(s *facts.Snapshot, instead string) (server, from string, err error) {
	u, err := url.Parse(instead)
	if err != nil {
		return "", "", fmt.Errorf("the server of the kubeconfig is no URL: %w", err)
	}
	known := apiServers(s)
	if len(known) == 0 {
		return "", "", fmt.Errorf("the address of the API server is not known: neither kubeadm's ClusterConfiguration nor the endpoints of Service default/kubernetes were read")
	}
	if made := madeBy(s); len(known) > 1 && made.ControlPlaneEndpoint == "" {
		return "", "", fmt.Errorf("the API server has several addresses (%s), and kubeadm's controlPlaneEndpoint is not set", known.join())
	}
	if (servers{known[0]}).has(u) {
		return "", "", fmt.Errorf("it names %s already, which is the address that %s has", instead, known[0].from)
	}
	server = "https://" + known[0].hostPort
	if right, err := url.Parse(server); err != nil || right.Hostname() == "" || right.Host != known[0].hostPort {
		return "", "", fmt.Errorf("%s names no host and port: %q", known[0].from, known[0].hostPort)
	}
	return server, known[0].from, nil
}

func (list servers) join() string {
	var out []string
	for _, a := range list {
		out = append(out, a.hostPort)
	}
	return strings.Join(out, ", ")
}

// MasqueradesAs tells whether the pods that are known have their addresses in ranges, one
// of each family, and so have the podCIDRs of all nodes, where pods get theirs out of them.
func MasqueradesAs(s *facts.Snapshot, ranges []netip.Prefix) bool {
	for _, r := range ranges {
		_, out, used := podAddresses(s, r)
		if len(out) > 0 || used && len(outside(s, r)) > 0 {
			return false
		}
	}
	return len(ranges) > 0
}

// RanIn returns the modes that kube-proxies of a DaemonSet named when they started.
func (p Proxy) RanIn() []string {
	var out []string
	for _, pod := range p.Pods {
		if mode := p.ModeOf(pod); mode != "" && !slices.Contains(out, mode) {
			out = append(out, mode)
		}
	}
	return out
}

// ModeOf returns the mode that a kube-proxy named when it started, or "".
func (p Proxy) ModeOf(pod *facts.Pod) string {
	lines := running.FindAllStringSubmatch(p.p.log(pod), -1)
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1][1]
}

// Transient tells whether what keeps a kube-proxy from writing its rules may pass when it
// is made anew: where a lock, a module or another program is named, it does not.
func Transient(f checks.Finding) bool {
	return f.Check == NotSynced || slices.Contains([]string{iptablesRefuses, nftablesRefuses, ipvsRefuses}, f.Message)
}

// Account returns the ServiceAccount as which kube-proxy asks the API server.
func (p Proxy) Account() (facts.Ref, bool) { return p.p.account() }

// NodeProxier is the ClusterRole that the API server makes for kube-proxy.
const NodeProxier = nodeProxier

// ToleratesAll tells whether there is a toleration for every taint that keeps pods away.
func ToleratesAll(list []corev1.Toleration) bool { return toleratesAll(list) }

// PodSubnet returns the range that kubeadm was told for the pods, and where that stands.
func PodSubnet(s *facts.Snapshot) (cidrs, from string) {
	made := madeBy(s)
	return made.Networking.PodSubnet, made.from
}

// Lacks returns what kube-proxy must list and watch and rules do not allow.
func Lacks(rules []rbacv1.PolicyRule) []string { return lackingOf(rules) }
