package coredns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// UpstreamSelf finds Corefiles that forward to an address of CoreDNS itself.
var UpstreamSelf = &checks.Check{
	ID:       "coredns-upstream-self",
	Title:    "CoreDNS forwards to no address of its own",
	Severity: checks.Error,
	URL:      "https://coredns.io/plugins/forward/",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps, facts.SystemServices},
	MayUse:   []*facts.Source{facts.Configz, facts.PodLogs},
	Explains: []*checks.Check{Loop, UpstreamFailing, MaxConcurrent, PodOutside, ServfailRate, Latency, Cache, symptom.DNSProbeCluster, symptom.DNSProbeExternal},
	ByHand:   []string{"kubectl -n kube-system get configmap coredns -o yaml", "kubectl -n kube-system get service kube-dns"},
	Run:      findUpstreamSelf,
	Doc: `What CoreDNS does not know itself it forwards. Where the target is the DNS Service's own address, one of its pods
or a loopback address on which it listens, the question comes back, for every name outside the cluster.

What is seen of it differs. A loopback address is found by the plugin **loop** at the start, and CoreDNS exits. By the
Service's address it is often not found: at its start CoreDNS is no endpoint yet, the question is refused and the plugin
takes that for an answer. Then the pods are Ready, names of the cluster resolve, and all others die with SERVFAIL.

With ` + "`forward . /etc/resolv.conf`" + ` the address can stand in the node's resolv.conf as well, where an installer put it so that
the node itself resolves Services (kubespray with ` + "`resolvconf_mode: host_resolvconf`" + `). That shows in the log alone: questions to the
Service's own address time out or are refused.

Where there is a cache, it holds little of what goes round: that is told below. One that is missing is a fault of its own.

Cure: write real DNS servers in its place. Where it comes from the node, let ` + "`resolvConf`" + ` of the kubelets name a file without it,
or let the Corefile forward to addresses. ` + "`kubectl netdoctor fix coredns-upstream-self --upstream IP`" + ` does so.`,
}

func findUpstreamSelf(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, v := range servers(s) {
		cm, text := configOf(s, v.pod)
		if cm == nil {
			continue
		}
		if i := slices.IndexFunc(out, func(f checks.Finding) bool { return f.Subject == configRef(cm) }); i >= 0 {
			out[i].Places = append(out[i].Places, v.pod.Ref())
			continue
		}
		if f, found := leadsBack(s, v.pod, configRef(cm), text); found {
			out = append(out, f)
		} else if f, found := v.givenItself(s, text); found {
			out = told(out, f)
		}
	}
	return out
}

// givenItself finds a server whose node gives it its own Service as nameserver: it says
// that questions to that address were forwarded in vain. Pods that are meant to ask the
// cluster's DNS (dnsPolicy) are another check's.
func (v server) givenItself(s *facts.Snapshot, text string) (f checks.Finding, found bool) {
	line := forwardsOwn(text)
	if line == "" || v.pod.DNSPolicy != corev1.DNSDefault && !v.pod.HostNetwork {
		return f, false
	}
	own := OwnAddresses(s, v.pod)
	for _, w := range v.sinceInForce(s) {
		m := failedLine.FindStringSubmatch(w.text)
		if m == nil {
			continue
		}
		to, err := netip.ParseAddrPort(m[3])
		who := own[to.Addr().Unmap()]
		if err != nil || to.Port() != dnsPort || who == "" {
			continue
		}
		cm, _ := configOf(s, v.pod)
		return checks.Finding{
			Subject: owner(v.pod), Places: []facts.Ref{v.pod.Ref()},
			Message: "asks itself: the nameservers that it gets from its node include an address of its own",
			Evidence: []checks.Evidence{v.quote(w), checks.Quote(who, "its address is "+to.Addr().String()), checks.Quote(configRef(cm).String()+", Corefile", line),
				checks.Quote(v.pod.Ref().String()+", spec.dnsPolicy", string(v.pod.DNSPolicy))},
			Remedy: fmt.Sprintf("Let resolvConf of the kubelets name a file without %s, restart them and delete the CoreDNS pods, or let the Corefile forward to DNS servers outside the cluster in place of /etc/resolv.conf.", to.Addr()),
		}, true
	}
	return f, false
}

// dnsPort is where DNS servers listen.
const dnsPort = 53

// leadsBack returns what is wrong with the Corefile that a pod runs with.
func leadsBack(s *facts.Snapshot, p *facts.Pod, configMap facts.Ref, text string) (f checks.Finding, found bool) {
	file, err := corefile.Parse(text)
	if err != nil {
		return f, false // another check's matter
	}
	f = checks.Finding{Subject: configMap, Places: []facts.Ref{p.Ref()},
		Remedy: "Let it forward to DNS servers outside the cluster: kubectl netdoctor fix coredns-upstream-self --upstream IP."}
	own := OwnAddresses(s, p)
	for _, b := range file.Blocks {
		for _, d := range slices.Concat(b.Find("forward"), b.Find("proxy")) {
			forward, _ := d.Forward()
			for _, to := range forward.To {
				who := own[to.Addr.Unmap()]
				switch {
				case b.Hears(to) && !p.HostNetwork: // on the host's network it is the node's own resolver
					who = "the pod itself"
				case who == "" || to.Port != "53":
					continue
				}
				if !found {
					found = true
					f.Message = fmt.Sprintf("forwards zone %q back to CoreDNS: %s is %s", strings.Join(b.Zones(), " "), to.Text, who)
				}
				line := fmt.Sprintf("line %d: %s %s", d.Line, d.Name, strings.Join(d.Args, " "))
				f.Evidence = append(f.Evidence, checks.Quote(configMap.String()+", Corefile", line))
				if own[to.Addr.Unmap()] != "" {
					f.Evidence = append(f.Evidence, checks.Quote(who, "its address is "+to.Addr.String()))
				}
			}
		}
	}
	return f, found
}

// OwnAddresses returns the addresses at which clients of the cluster reach the DNS
// servers that a pod is one of, and what each is: the Service in front of it, a pod.
func OwnAddresses(s *facts.Snapshot, p *facts.Pod) map[netip.Addr]string {
	out := map[netip.Addr]string{}
	add := func(ip, what string) {
		if addr, err := netip.ParseAddr(ip); err == nil {
			out[addr.Unmap()] = what
		}
	}
	for _, other := range s.DNSPods() {
		if other.Owner == p.Owner && !other.HostNetwork {
			for _, ip := range other.IPs() {
				add(ip, other.Ref().String())
			}
		}
	}
	for _, svc := range s.DNSServices() {
		if facts.Matches(svc.Spec.Selector, p.Labels) {
			for _, ip := range facts.ClusterIPs(svc) {
				add(ip, facts.ServiceRef(svc).String())
			}
		}
	}
	return out
}
