package probe

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// mostOfKind bounds how many addresses of one kind each pod tries: pods of cluster DNS,
// API servers.
const mostOfKind = 5

// tryTraffic lets pods on some nodes try what pods of applications need. It takes two
// rounds, since the ones that try must be told the addresses of those that answer, and no
// pod has a token to ask for them.
func (r *run) tryTraffic(ctx context.Context, home *home, nodes []*corev1.Node) {
	own := home.ownService(ctx)
	peers := r.peers(ctx, home, nodes, own)
	targets := append(peerTargets(peers.addresses), r.clusterTargets(nodes)...)
	targets = append(targets, own.targets(facts.TargetLocalService)...)
	plan, err := planVariable(agent.Plan{Targets: targets, Upstream: r.opts.OutsideName})
	if err != nil {
		peers.why = func(string) string { return err.Error() }
	}
	var able []*corev1.Node
	for _, n := range nodes {
		if _, there := peers.addresses[n.Name]; there && err == nil {
			able = append(able, n)
		} else {
			r.part(facts.Tries, n.Name, peers.why(n.Name))
		}
	}
	if len(able) == 0 {
		return
	}
	job := trafficJob(r.opts.Image, home, "try", able, []string{"try"})
	pod := &job.Spec.Template.Spec
	pod.DNSPolicy = corev1.DNSDefault // the servers of its resolv.conf are those that cluster DNS forwards to
	pod.Containers[0].Env = append(pod.Containers[0].Env, plan)
	results, why := r.results(ctx, home, job, able)
	if why := r.held(ctx); why != "" {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.b.Gap(facts.Tries, "", why)
		return
	}
	for _, n := range able {
		result := results[n.Name]
		if result == nil {
			r.part(facts.Tries, n.Name, why(n.Name))
			continue
		}
		r.addTries(n.Name, result.Tries)
	}
	own.read(ctx, peers, able, results)
}

func (r *run) addTries(node string, tried []facts.Try) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range tried {
		t.Node = node // whatever the pod says
		r.b.AddTries(t)
	}
}

func planVariable(p agent.Plan) (corev1.EnvVar, error) {
	data, err := json.Marshal(p)
	return corev1.EnvVar{Name: agent.PlanVariable, Value: string(data)}, err
}

// held says why what the pods tried may tell of NetworkPolicies and not of the network, or "".
// Somebody may make some for each new namespace, after everything was listed, and outside the
// scope of it: so it is asked once the pods have tried, and what they found is then unknown in
// every bundle as well.
func (r *run) held(ctx context.Context) string {
	list, err := r.client.NetworkingV1().NetworkPolicies(Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "which NetworkPolicies hold for the pods that tried is not known: " + reason(err)
	}
	for i := range list.Items {
		return tries.HeldBy(&list.Items[i])
	}
	return ""
}

// peers are the pods that answer others.
type peers struct {
	addresses map[string]string // by node, of those that run
	pods      map[string]*corev1.Pod
	why       func(node string) string // there is none
}

// peers starts a pod on each node that answers others.
func (r *run) peers(ctx context.Context, home *home, nodes []*corev1.Node, own *ownService) *peers {
	out := &peers{addresses: map[string]string{}, pods: map[string]*corev1.Pod{}}
	if end, bounded := ctx.Deadline(); bounded { // the others need the rest of the time to try
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)*3/5)
		defer cancel()
	}
	job := trafficJob(r.opts.Image, home, "serve", nodes, []string{"serve"})
	job.Spec.ActiveDeadlineSeconds = ptr.To(int64(Longest.Seconds()))
	own.leadTo(&job.Spec.Template)
	pods, err := r.follow(ctx, home, job, len(nodes), func(p *corev1.Pod) bool {
		if p.Status.Phase != corev1.PodRunning || p.Status.PodIP == "" {
			return p.Status.Phase == corev1.PodFailed
		}
		out.addresses[p.Spec.NodeName], out.pods[p.Spec.NodeName] = p.Status.PodIP, p
		return true
	})
	out.why = func(node string) string { return pods.why(node, err) }
	return out
}

// peerTargets lets every pod try every other one, and the one beside it on its node.
func peerTargets(addresses map[string]string) []agent.Target {
	var out []agent.Target
	for _, node := range slices.Sorted(maps.Keys(addresses)) {
		to := net.JoinHostPort(addresses[node], strconv.Itoa(facts.PeerPort))
		for _, kind := range []facts.TryKind{facts.TryTCP, facts.TryUDP, facts.TryMTU} {
			out = append(out, agent.Target{Kind: kind, To: to, ToNode: node, Target: facts.TargetPod})
		}
	}
	return out
}

// clusterTargets are what every pod of a cluster needs: the API server, by its Service and
// directly, cluster DNS likewise, and the kubelets of the sampled nodes.
func (r *run) clusterTargets(nodes []*corev1.Node) []agent.Target {
	var out []agent.Target
	for _, n := range nodes {
		if ip := nodeAddress(n); ip != "" {
			port := int(n.Status.DaemonEndpoints.KubeletEndpoint.Port)
			if port == 0 {
				port = 10250
			}
			out = append(out, agent.Target{Kind: facts.TryTCP, To: net.JoinHostPort(ip, strconv.Itoa(port)), ToNode: n.Name, Target: facts.TargetNode})
		}
	}
	if svc := r.s.Service("default", "kubernetes"); svc != nil {
		out = append(out, apiTargets(svc, r.s.SlicesOf(svc))...)
	}
	return append(out, r.dnsTargets()...)
}

func nodeAddress(n *corev1.Node) string {
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address
		}
	}
	return ""
}

// apiTargets are the API server's Service, by each of its addresses, and what is behind it.
func apiTargets(svc *corev1.Service, slices []*facts.EndpointSlice) []agent.Target {
	var out []agent.Target
	for _, ip := range svc.Spec.ClusterIPs {
		if net.ParseIP(ip) != nil && len(svc.Spec.Ports) > 0 {
			to := net.JoinHostPort(ip, strconv.Itoa(int(svc.Spec.Ports[0].Port)))
			out = append(out, agent.Target{Kind: facts.TryTCP, To: to, Target: facts.TargetAPIService})
		}
	}
	servers := 0
	for _, slice := range slices {
		if len(slice.Ports) == 0 || slice.Ports[0].Port == nil {
			continue
		}
		for _, e := range slice.Endpoints {
			if servers++; servers <= mostOfKind {
				to := net.JoinHostPort(e.Address, strconv.Itoa(int(*slice.Ports[0].Port)))
				out = append(out, agent.Target{Kind: facts.TryTCP, To: to, Target: facts.TargetAPIServer})
			}
		}
	}
	return out
}

// dnsTargets ask cluster DNS for a name of the cluster, and one outside: over UDP and TCP,
// by the address that pods get and each pod directly.
func (r *run) dnsTargets() []agent.Target {
	var out []agent.Target
	name := "kubernetes.default.svc." + r.domain()
	ask := func(to string, port int, node string, target facts.TryTarget) {
		for _, kind := range []facts.TryKind{facts.TryDNSUDP, facts.TryDNSTCP} {
			out = append(out, agent.Target{Kind: kind, To: net.JoinHostPort(to, strconv.Itoa(port)), ToNode: node, Target: target, Name: name})
		}
	}
	for _, svc := range r.s.DNSServices() {
		for _, ip := range svc.Spec.ClusterIPs {
			if net.ParseIP(ip) == nil {
				continue
			}
			ask(ip, 53, "", facts.TargetDNSService)
			if r.opts.OutsideName != "" {
				out = append(out, agent.Target{Kind: facts.TryDNSUDP, To: net.JoinHostPort(ip, "53"), Target: facts.TargetDNSService, Name: r.opts.OutsideName, Count: 3})
			}
		}
	}
	asked := 0
	for _, p := range r.s.DNSPods() {
		if ips := p.IPs(); p.Phase == corev1.PodRunning && !p.Deleting && len(ips) > 0 && !p.HostNetwork && asked < mostOfKind {
			asked++
			ask(ips[0], p.DNSPort(), p.Node, facts.TargetDNSPod)
		}
	}
	return out
}

// domain is the cluster's, as its kubelets tell it to pods.
func (r *run) domain() string {
	for _, name := range slices.Sorted(maps.Keys(r.s.Configz)) {
		if k := r.s.Configz[name]; k != nil && k.ClusterDomain != "" {
			return strings.TrimSuffix(k.ClusterDomain, ".") + "."
		}
	}
	return "cluster.local."
}
