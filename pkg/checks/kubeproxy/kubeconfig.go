package kubeproxy

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Kubeconfig finds kubeconfigs that send kube-proxy where no API server answers.
var Kubeconfig = &checks.Check{
	ID:       "kube-proxy-kubeconfig",
	Title:    "kube-proxy's kubeconfig names the API server",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/#ClientConnectionConfiguration",
	Needs:    []*facts.Source{facts.ConfigMaps, facts.SystemDaemonSets, facts.SystemPods, facts.PodLogs},
	MayUse:   []*facts.Source{facts.EndpointSlices, facts.SystemServices, facts.Nodes},
	When:     noKubeconfig,
	Parts:    func(s *facts.Snapshot) []checks.Part { return checks.PodLogs(s.KubeProxyPods()) },
	Explains: []*checks.Check{PodUnhealthy},
	ByHand: []string{"kubectl -n kube-system get configmap kube-proxy -o yaml | grep server:",
		"kubectl get endpointslices -l kubernetes.io/service-name=kubernetes", "kubectl -n kube-system logs POD"},
	Run: findKubeconfig,
	Doc: `kube-proxy asks the API server at the address that its kubeconfig names. Where nobody answers there, or somebody else
does, it learns of no Service and no endpoint: the rules of before stay, and on a node that was started again there are
none. Where connections are refused it tries again and again without a word; only that nothing comes after "Waiting
for caches to sync" shows it. It has no readiness probe, so its pods are Ready all the while.

**How it comes about**: a load balancer or virtual address in front of the API server was replaced, the control plane moved or
its port changed, or the ConfigMap was edited or copied from another cluster. An address that the API server's certificate
does not hold fails in the same way. The address must not be that of the Service ` + "`default/kubernetes`" + `: it
leads nowhere before kube-proxy has run.

It is reported only where the log of a kube-proxy shows that it gets no answer, where the address is none that the API
server is known by, and where no kube-proxy that was started later gets through.

**Cure**: correct the server in the ConfigMap (key kubeconfig.conf), then restart the DaemonSet: kube-proxy does not read the
file again by itself.`,
}

func noKubeconfig(s *facts.Snapshot) string {
	if why := noDaemonSet(s); why != "" {
		return why
	}
	if !slices.ContainsFunc(templates(s), func(p *proxy) bool { k := p.kubeconfig(); return k != nil && k.server() != "" }) {
		return "no ConfigMap holds a kubeconfig of kube-proxy"
	}
	return ""
}

func findKubeconfig(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range proxies(s) {
		k := p.kubeconfig()
		if k == nil {
			continue
		}
		server, err := url.Parse(k.server())
		if err != nil || server.Hostname() == "" {
			continue // clusters without a server are config-invalid's
		}
		if f, found := p.astray(k, server); found {
			out = append(out, f)
		}
	}
	return once(out)
}

// wrongName is what a client says whose API server has a certificate for others.
var wrongName = regexp.MustCompile(`x509: certificate is (?:not )?valid for `)

// astray tells whether the server is to blame for what the logs show.
func (p *proxy) astray(k *kubeconfig, server *url.URL) (checks.Finding, bool) {
	sick, evidence := p.cutOff()
	if len(sick) == 0 {
		return p.circle(k, server, nil, nil)
	}
	if f, found := p.circle(k, server, sick, evidence); found {
		return f, true
	}
	known := apiServers(p.s)
	named := wrongName.MatchString(evidence[0].Text)
	if p.reached(sick) || !named && (known.has(server) || !p.allRead(sick) && !known.excludes(server)) {
		return checks.Finding{}, false
	}
	f := p.at(k, sick, fmt.Sprintf("sends kube-proxy to %s, where it reaches no API server", server), evidence)
	if named {
		f.Message = fmt.Sprintf("sends kube-proxy to %s, a name that the API server's certificate does not hold", server)
	}
	for _, a := range known {
		f.Evidence = append(f.Evidence, checks.Quote(a.from, a.hostPort))
	}
	f.Remedy = fmt.Sprintf("Set server in key %s to %s, then restart kube-proxy: %s.", k.at.key, known.first(server), p.restart())
	if named {
		f.Remedy += " Or renew the API server's certificate with that name (kubeadm: apiServer.certSANs)."
	}
	return f, true
}

// circle reports a kubeconfig that names the Service whose address kube-proxy is to make
// work. Without a pod that is cut off it is reported as long as all is well: the node's
// next start will show it.
func (p *proxy) circle(k *kubeconfig, server *url.URL, sick []*facts.Pod, evidence []checks.Evidence) (checks.Finding, bool) {
	svc := p.s.Service(metav1.NamespaceDefault, "kubernetes")
	if svc == nil || !slices.ContainsFunc(facts.ClusterIPs(svc), func(ip string) bool { return facts.SameIP(ip, server.Hostname()) }) ||
		len(sick) == 0 && !p.well() {
		return checks.Finding{}, false
	}
	f := p.at(k, sick, fmt.Sprintf("sends kube-proxy to %s, the address of a Service: it leads nowhere before kube-proxy has run", server), evidence)
	f.Evidence = append(f.Evidence, checks.Quote(facts.ServiceRef(svc).String()+", clusterIP", svc.Spec.ClusterIP))
	f.Remedy = fmt.Sprintf("Set server in key %s to %s, then restart kube-proxy: %s.", k.at.key, apiServers(p.s).first(server), p.restart())
	if len(sick) == 0 {
		f.Severity = checks.Warning
	}
	return f, true
}

func (p *proxy) at(k *kubeconfig, sick []*facts.Pod, message string, evidence []checks.Evidence) checks.Finding {
	f := checks.Finding{Subject: k.at.ref(), Message: message}
	f.Evidence = append([]checks.Evidence{checks.Quote(k.at.from(), lineOf(k.at.data, "server", k.server()))}, evidence...)
	for _, pod := range sick {
		f.Places = append(f.Places, pod.Ref())
	}
	return f
}

// cutOff returns the pods whose log shows that they do not get through to the API
// server, with what the first two of them say.
func (p *proxy) cutOff() (sick []*facts.Pod, evidence []checks.Evidence) {
	for _, pod := range p.pods {
		if n := p.s.Node(pod.Node); pod.Deleting || n != nil && silent(n) {
			continue
		}
		lines := strings.Split(p.log(pod), "\n")
		f, found := unanswered.last(p.s, pod, lines)
		if !found {
			f, found = unreached.persist(p.s, pod, lines)
		}
		if found {
			sick = append(sick, pod)
			if len(sick) <= 2 {
				evidence = append(evidence, f.Evidence...)
			}
		}
	}
	return sick, evidence
}

// log returns the current log of the pod's kube-proxy.
func (p *proxy) log(pod *facts.Pod) string {
	return p.s.Logs[pod.Namespace+"/"+pod.Name+"/"+p.spec.Containers[0].Name].Current
}

// reached tells whether a kube-proxy gets through that was started when, or after, the
// first of the sick was: then the address is not what they fail by.
func (p *proxy) reached(sick []*facts.Pod) bool {
	first, ill := started(sick[0]), map[*facts.Pod]bool{}
	for _, pod := range sick {
		first = min(first, started(pod))
		ill[pod] = true
	}
	return slices.ContainsFunc(p.pods, func(pod *facts.Pod) bool {
		said := p.log(pod)
		through := said != "" && (strings.Contains(said, "Caches are synced") || !unreached.re.MatchString(said))
		return !ill[pod] && pod.Ready && through && started(pod) >= first && p.s.Taken.Sub(started(pod).Time()) > 2*settled
	})
}

// allRead tells whether every kube-proxy whose log was read is among the sick.
func (p *proxy) allRead(sick []*facts.Pod) bool {
	read := 0
	for _, pod := range p.pods {
		if p.log(pod) != "" {
			read++
		}
	}
	return read == len(sick)
}

// servers are addresses that the API server is known by, the best first.
type servers []apiServer

type apiServer struct{ from, hostPort string }

// apiServers asks kubeadm's memory, the endpoints of Service default/kubernetes, and the
// static pods of the API server.
func apiServers(s *facts.Snapshot) servers {
	var out servers
	add := func(from, host, port string) {
		a := apiServer{from, net.JoinHostPort(host, port)}
		if !slices.ContainsFunc(out, func(o apiServer) bool { return o.hostPort == a.hostPort }) {
			out = append(out, a)
		}
	}
	if made := madeBy(s); made.ControlPlaneEndpoint != "" {
		host, port := split(made.ControlPlaneEndpoint, "6443")
		add(made.from+", controlPlaneEndpoint", host, port)
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}}
	for _, es := range s.SlicesOf(service) {
		for _, port := range es.Ports {
			for i := 0; i < len(es.Endpoints) && port.Port != nil; i++ {
				add(es.Ref().String(), es.Endpoints[i].Address, strconv.Itoa(int(*port.Port)))
			}
		}
	}
	for _, pod := range s.PodsIn("kube-system") {
		if !pod.HostNetwork || pod.Labels["component"] != "kube-apiserver" {
			continue
		}
		for _, ip := range pod.IPs() {
			add(pod.Ref().String(), ip, securePort(pod))
		}
	}
	return out
}

// securePort reads the API server's flag.
func securePort(p *facts.Pod) string {
	for i := range p.Containers {
		for _, arg := range p.Containers[i].Command {
			if port, found := strings.CutPrefix(arg, "--secure-port="); found {
				return port
			}
		}
	}
	return "6443"
}

// split parts host and port, where a port may be missing.
func split(hostPort, usual string) (host, port string) {
	if host, port, err := net.SplitHostPort(hostPort); err == nil {
		return host, port
	}
	return strings.Trim(hostPort, "[]"), usual
}

// has tells whether a URL leads to one of them.
func (list servers) has(u *url.URL) bool {
	return slices.ContainsFunc(list, func(a apiServer) bool {
		host, port := split(a.hostPort, "")
		return port == portOf(u) && (strings.EqualFold(host, u.Hostname()) || facts.SameIP(host, u.Hostname()))
	})
}

// excludes tells whether the list can speak against a URL: a name may stand for any
// address, an address stands for itself.
func (list servers) excludes(u *url.URL) bool {
	_, err := netip.ParseAddr(u.Hostname())
	return len(list) > 0 && err == nil && !list.has(u)
}

func portOf(u *url.URL) string {
	if u.Port() == "" {
		return "443"
	}
	return u.Port()
}

// first returns the URL to write instead.
func (list servers) first(instead *url.URL) string {
	for _, a := range list {
		if host, port := split(a.hostPort, ""); port != portOf(instead) || host != instead.Hostname() {
			return "https://" + a.hostPort
		}
	}
	return "the address of the API server"
}
