package kubeproxy

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kube-proxy/config/v1alpha1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// proxies returns the DaemonSets of kube-proxy that have or want a pod, with their pods.
func proxies(s *facts.Snapshot) []*proxy {
	pods := map[facts.Ref][]*facts.Pod{}
	for _, pod := range s.KubeProxyPods() {
		pods[pod.Owner] = append(pods[pod.Owner], pod)
	}
	var out []*proxy
	for _, p := range templates(s) {
		p.pods = pods[setRef(p.set)]
		if len(p.pods) > 0 || p.set.Status.DesiredNumberScheduled > 0 || s.Missing(facts.SystemPods) != "" {
			out = append(out, p)
		}
	}
	return out
}

// templates returns the DaemonSets of kube-proxy without their pods.
func templates(s *facts.Snapshot) []*proxy {
	var out []*proxy
	for _, d := range s.KubeProxyDaemonSets() {
		out = append(out, &proxy{s: s, set: d, spec: &d.Spec.Template.Spec})
	}
	return out
}

// settings is a configuration that kube-proxy reads when it starts, and where it stands.
type settings struct {
	*v1alpha1.KubeProxyConfiguration
	at *text
}

// settings returns nil where the configuration is not in the API, or is none.
func (p *proxy) settings() *settings {
	file := flag(&p.spec.Containers[0], "config")
	if file == "" {
		return nil // the flags tell everything, which versions read differently
	}
	at, _ := p.open(use{is: configKind.MatchString}, file)
	if at == nil {
		return nil
	}
	config, _, err := decode(at.data)
	if err != nil {
		return nil
	}
	return &settings{config, at}
}

// noSettings says why nothing can be said about the configuration, or "".
func noSettings(s *facts.Snapshot) string {
	if why := noDaemonSet(s); why != "" {
		return why
	}
	if !slices.ContainsFunc(templates(s), func(p *proxy) bool { return p.settings() != nil }) {
		return "no ConfigMap holds a configuration of kube-proxy that it can read"
	}
	return ""
}

// quote quotes the line that sets a field.
func (c *settings) quote(field, value string) checks.Evidence {
	return checks.Quote(c.at.from(), lineOf(c.at.data, field, value))
}

// restart is the command that makes kube-proxy read its configuration.
func (p *proxy) restart() string {
	return checks.Command("kubectl -n %s rollout restart daemonset %s", p.set.Namespace, p.set.Name)
}

// kubeadm is what kubeadm remembers of how it made a cluster.
type kubeadm struct {
	ControlPlaneEndpoint string `json:"controlPlaneEndpoint"`
	Networking           struct {
		PodSubnet string `json:"podSubnet"`
	} `json:"networking"`

	from string
}

// madeBy returns what kubeadm remembers; nothing is set where it did not make the
// cluster.
func madeBy(s *facts.Snapshot) kubeadm {
	for _, cm := range s.ConfigMaps {
		text, found := cm.Data["ClusterConfiguration"]
		var k kubeadm
		if cm.Namespace == "kube-system" && found && yaml.Unmarshal([]byte(text), &k) == nil {
			k.from = fmt.Sprintf("ConfigMap %s/%s, key ClusterConfiguration", cm.Namespace, cm.Name)
			return k
		}
	}
	return kubeadm{}
}

// kubeconfig is the part of a kubeconfig that says where the API server is, and as whom
// to ask it.
type kubeconfig struct {
	Clusters []struct {
		Name    string `json:"name"`
		Cluster struct {
			Server string `json:"server"`
		} `json:"cluster"`
	} `json:"clusters"`
	Contexts []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user"`
		} `json:"context"`
	} `json:"contexts"`
	Users []struct {
		Name string `json:"name"`
		User struct {
			TokenFile string `json:"tokenFile"`
		} `json:"user"`
	} `json:"users"`
	Current string `json:"current-context"`

	at *text
}

// kubeconfig returns the kubeconfig that kube-proxy is told to use, or nil where it is
// not in the API.
func (p *proxy) kubeconfig() *kubeconfig {
	c := &p.spec.Containers[0]
	file := ""
	if config := p.settings(); config != nil {
		file = config.ClientConnection.Kubeconfig
	} else if flag(c, "config") == "" {
		file = flag(c, "kubeconfig")
	}
	if file == "" || flag(c, "master") != "" {
		return nil // the flag goes before the file
	}
	at, _ := p.open(use{is: kubeconfigKind.MatchString}, file)
	if at == nil {
		return nil
	}
	k := &kubeconfig{at: at}
	if err := yaml.Unmarshal([]byte(at.data), k); err != nil {
		return nil
	}
	return k
}

// server returns the URL of the API server, or "" where that is not certain.
func (k *kubeconfig) server() string {
	cluster, _ := k.context()
	for _, c := range k.Clusters {
		if c.Name == cluster || len(k.Clusters) == 1 {
			return c.Cluster.Server
		}
	}
	return ""
}

// tokenFile returns the file from which the user's token is read, or "".
func (k *kubeconfig) tokenFile() string {
	_, user := k.context()
	for _, u := range k.Users {
		if u.Name == user || len(k.Users) == 1 {
			return path.Clean(u.User.TokenFile)
		}
	}
	return ""
}

func (k *kubeconfig) context() (cluster, user string) {
	for _, c := range k.Contexts {
		if c.Name == k.Current || len(k.Contexts) == 1 {
			return c.Context.Cluster, c.Context.User
		}
	}
	return "", ""
}

// started is when the youngest container of a pod was started.
func started(p *facts.Pod) facts.Stamp {
	var out facts.Stamp
	for i := range p.Containers {
		out = max(out, p.Containers[i].State.Started)
	}
	return out
}

// minor reads the minor version from a version such as v1.37.2.
func minor(version string) (int, bool) {
	var major, out int
	n, _ := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d", &major, &out)
	return out, n == 2 && major == 1
}

// tag returns the tag of an image, or "".
func tag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	i := strings.LastIndexByte(image, ':')
	if i < 0 || strings.Contains(image[i:], "/") {
		return ""
	}
	return image[i+1:]
}

// minor is the minor version of the DaemonSet's kube-proxy, or that of the API server
// where the image does not tell.
func (p *proxy) minor() (int, bool) {
	if n, ok := minor(tag(p.spec.Containers[0].Image)); ok {
		return n, true
	}
	return minor(p.s.Server)
}

// inside tells whether a prefix lies in another.
func inside(in, p netip.Prefix) bool { return in.Bits() <= p.Bits() && in.Contains(p.Addr()) }

// podCIDRs returns the ranges that a node was given for its pods.
func podCIDRs(n *corev1.Node) []netip.Prefix {
	list := n.Spec.PodCIDRs
	if len(list) == 0 {
		list = []string{n.Spec.PodCIDR}
	}
	var out []netip.Prefix
	for _, text := range list {
		if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}

// mode returns the mode in which kube-proxy is to run; on Linux iptables is the default
// of all versions known here.
func (c *settings) mode() string { return cmp.Or(string(c.Mode), "iptables") }
