package coredns

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Loop finds CoreDNS pods that exit because what they forward comes back to them.
var Loop = &checks.Check{
	ID:       "coredns-loop",
	Title:    "CoreDNS forwards names to another server, not to itself",
	Severity: checks.Error,
	URL:      "https://coredns.io/plugins/loop/#troubleshooting-loops-in-kubernetes-clusters",
	Needs:    []*facts.Source{facts.SystemPods, facts.PodLogs},
	MayUse:   []*facts.Source{facts.ConfigMaps, facts.SystemServices, facts.Configz, facts.Files},
	Parts:    failingLogs,
	Explains: []*checks.Check{symptom.PodNotReady, symptom.DNSServiceNoEndpoints, symptom.DNSProbeExternal},
	ByHand: []string{"kubectl -n kube-system logs -l k8s-app=kube-dns --previous",
		"kubectl -n kube-system get configmap coredns -o yaml",
		`kubectl get --raw "/api/v1/nodes/NODE/proxy/configz"`},
	Run: findLoops,
	Doc: `At its start CoreDNS sends itself a random question. If that comes back through what it forwards to, every
unknown name would circle for ever, so the plugin **loop** ends the process: the pods crash, and nothing in the cluster
resolves.

CoreDNS normally forwards to the nameservers in its own /etc/resolv.conf, which the kubelet copies from a file of the
node. On nodes with systemd-resolved, dnsmasq or Docker's embedded DNS that file names a loopback address (127.0.0.53),
which inside the pod is CoreDNS itself. Other ways: a loopback address, or the DNS Service's own address, written into
the Corefile; ` + "`dnsPolicy: ClusterFirst`" + ` on the CoreDNS pods; a company's server that sends the question back.

Cure that lasts: at the kubelet. Set ` + "`resolvConf`" + ` in its configuration to a file without loopback addresses (with
systemd-resolved ` + "`/run/systemd/resolve/resolv.conf`" + `), restart it, and delete the CoreDNS pods. Every other pod
with ` + "`dnsPolicy: Default`" + ` that is made anew is cured with it; ` + "`fix coredns-loop --with kubelet-resolvconf --allow-node-changes`" + `
does so on nodes with systemd. Quicker: ` + "`kubectl netdoctor fix coredns-loop`" + ` writes real
upstreams into the Corefile. Never take the plugin out: without it the loop ends in exhausted memory.`,
}

// loopLine matches the words of all versions (coredns plugin/loop/loop.go): from 1.3.0,
// 1.2.4 to 1.2.6, and before, when the zone was not told.
var loopLine = regexp.MustCompile(`Loop \(\S* -> \S*\) detected for zone "([^"]*)"|` +
	`Forwarding loop detected in "([^"]*)" zone|Seen "HINFO IN [^"]*" more than twice, loop detected`)

type loop struct {
	owner facts.Ref
	zone  string
}

func findLoops(s *facts.Snapshot) []checks.Finding {
	pods := map[loop][]*facts.Pod{}
	quotes := map[loop][]checks.Evidence{}
	var order []loop
	for _, v := range failing(s) {
		zone, line, found := loopTold(s, v)
		if !found {
			continue
		}
		l := loop{owner(v.pod), zone}
		if pods[l] == nil {
			order = append(order, l)
		}
		pods[l] = append(pods[l], v.pod)
		quotes[l] = append(quotes[l], v.quote(line))
	}
	var out []checks.Finding
	for _, l := range order {
		f := checks.Finding{Subject: l.owner, Message: l.message(), Evidence: quotes[l]}
		for _, p := range pods[l] {
			f.Places = append(f.Places, p.Ref())
			evidence, remedy := loopOrigin(s, p, l.zone)
			if f.Remedy == "" {
				f.Remedy = remedy
			}
			for _, e := range evidence {
				if !slices.Contains(f.Evidence, e) {
					f.Evidence = append(f.Evidence, e)
				}
			}
		}
		out = append(out, f)
	}
	return out
}

func (l loop) message() string {
	if l.zone == "" {
		return "forwards names to itself: CoreDNS found a loop and exits"
	}
	return fmt.Sprintf("forwards names to itself: CoreDNS found a loop for zone %q and exits", l.zone)
}

func loopTold(s *facts.Snapshot, v server) (zone string, line said, found bool) {
	for _, w := range v.words(s) {
		if m := loopLine.FindStringSubmatch(w.text); m != nil {
			return m[1] + m[2], w, true
		}
	}
	return "", said{}, false
}
