package coredns

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ZoneMismatch finds Corefiles that do not serve the domain which the kubelets write
// into pods.
var ZoneMismatch = &checks.Check{
	ID:       "coredns-zone-mismatch",
	Title:    "CoreDNS serves the cluster domain of the kubelets",
	Severity: checks.Error,
	URL:      "https://coredns.io/plugins/kubernetes/",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps, facts.Configz, facts.SystemServices},
	MayUse:   []*facts.Source{facts.Nodes},
	Parts:    anyConfigz,
	Explains: []*checks.Check{PodAnswers, symptom.DNSProbeCluster},
	ByHand: []string{"kubectl -n kube-system get configmap coredns -o yaml",
		`kubectl get --raw "/api/v1/nodes/NODE/proxy/configz"`,
		"kubectl exec POD -- cat /etc/resolv.conf"},
	Run: findZoneMismatch,
	Doc: `The kubelet writes its ` + "`clusterDomain`" + ` into the search list of every pod: ` + "`shop`" + ` becomes
` + "`shop.default.svc.cluster.local`" + `. CoreDNS answers such a name only if its plugin **kubernetes** has exactly that zone, in a
server block that covers it. Otherwise the name goes to the servers outside, which have never heard of it: all pods are
Ready, and no Service has a name (NXDOMAIN).

It comes about by a slip in an edit of the Corefile, by a Corefile of another cluster, by a Helm value that was left at its
default, or by nodes that joined with another domain than the one that the cluster was made with (` + "`networking.dnsDomain`" + ` of kubeadm).
Where only some kubelets have another domain, those nodes are at fault and not the Corefile: this check is silent.

Cure: let the plugin name the domain of the kubelets, ` + "`kubernetes cluster.local in-addr.arpa ip6.arpa { … }`" + `. It may name several
zones, so that the old names live on. A domain that programs have built in is better not changed.`,
}

// anyConfigz asks for the kubelets' configuration only as long as none is known: the
// Corefile is held against what any of them hands out.
func anyConfigz(s *facts.Snapshot) []checks.Part {
	if len(s.Configz) > 0 {
		return nil
	}
	var out []checks.Part
	for _, n := range s.LinuxNodes() {
		out = append(out, checks.Part{Source: facts.Configz, Key: n.Name})
	}
	return out
}

// domain is a cluster domain, and a node whose kubelet hands it out.
type domain struct{ name, node string }

func findZoneMismatch(s *facts.Snapshot) []checks.Finding {
	domains := clusterDomains(s)
	if len(domains) == 0 {
		return nil
	}
	var out []checks.Finding
	for _, c := range configs(s) {
		if c.asked(s) && !slices.ContainsFunc(domains, func(d domain) bool { return c.mayServe(s, d.name) }) {
			out = append(out, c.zoneFinding(domains))
		}
	}
	return out
}

// clusterDomains returns the domains that kubelets hand out, each once, in the order of
// the first nodes.
func clusterDomains(s *facts.Snapshot) []domain {
	first := map[string]string{}
	for node, k := range s.Configz {
		name := strings.ToLower(strings.TrimSuffix(k.ClusterDomain, "."))
		if name != "" && (first[name] == "" || node < first[name]) {
			first[name] = node
		}
	}
	var out []domain
	for name, node := range first {
		out = append(out, domain{name, node})
	}
	slices.SortFunc(out, func(a, b domain) int { return strings.Compare(a.node, b.node) })
	return out
}

// asked tells whether pods' questions come to these servers: another CoreDNS may stand in
// a system namespace for a zone of its own.
func (c config) asked(s *facts.Snapshot) bool {
	return slices.ContainsFunc(s.DNSServices(), func(svc *corev1.Service) bool {
		return len(svc.Spec.Selector) > 0 && slices.ContainsFunc(c.servers, func(v server) bool {
			return svc.Namespace == v.pod.Namespace && facts.Matches(svc.Spec.Selector, v.pod.Labels)
		})
	})
}

// mayServe tells whether names of a domain are answered, or may be: by the plugin
// kubernetes, or by whatever else of the configuration speaks of the domain.
func (c config) mayServe(s *facts.Snapshot, name string) bool {
	known := false
	for _, b := range c.file.Blocks {
		for _, d := range b.Find("kubernetes") {
			known = true
			if slices.ContainsFunc(slices.Concat(d.Args, b.Keys), corefile.Placeholder) || covers(b, name) && slices.Contains(b.Origins(d.Args), name+".") {
				return true
			}
		}
	}
	if len(c.file.Imports) > 0 && (!known || c.imports(s, name)) {
		return true
	}
	return slices.ContainsFunc(c.file.Blocks, func(b *corefile.Block) bool { return speaksOf(b, name) })
}

func covers(b *corefile.Block, name string) bool {
	return slices.ContainsFunc(b.Zones(), func(zone string) bool { return corefile.Contains(zone, name) })
}

// imports tells whether what the servers mount beside the Corefile speaks of a domain.
func (c config) imports(s *facts.Snapshot, name string) bool {
	for _, of := range c.servers[0].pod.ConfigMaps {
		cm := s.ConfigMap(c.cm.Namespace, of)
		if cm == nil {
			return true // not seen
		}
		for key, text := range cm.Data {
			if (cm != c.cm || key != "Corefile") && contains(text, name) {
				return true
			}
		}
	}
	return false
}

// speaksOf tells whether a block is there for the domain, or a plugin does something with
// its names: rewrites them to another zone, forwards or templates them.
func speaksOf(b *corefile.Block, name string) bool {
	own := slices.ContainsFunc(b.Zones(), func(zone string) bool { return zone != "." && corefile.Contains(zone, name) })
	if own && len(b.Find("kubernetes")) == 0 {
		return true
	}
	return slices.ContainsFunc(b.Directives, func(d *corefile.Directive) bool {
		switch d.Name {
		case "kubernetes", "cache", "errors", "log", "prometheus":
			return false
		}
		return mentions(d, name)
	})
}

// mentions tells whether a directive or one of its options names a domain.
func mentions(d *corefile.Directive, name string) bool {
	return contains(strings.Join(d.Args, " "), name) ||
		slices.ContainsFunc(d.Options, func(o *corefile.Directive) bool { return contains(strings.Join(o.Args, " "), name) })
}

// contains tells whether a text names a domain; regular expressions write \. for a dot.
func contains(text, name string) bool {
	return strings.Contains(strings.ToLower(strings.ReplaceAll(text, `\`, "")), name)
}

func (c config) zoneFinding(domains []domain) checks.Finding {
	var evidence []checks.Evidence
	var zones []string
	for _, b := range c.file.Blocks {
		for _, d := range b.Find("kubernetes") {
			evidence = append(evidence, c.quoteBlock(b), c.quoteDirective(d))
			for _, z := range b.Origins(d.Args) {
				if covers(b, z) && !strings.HasSuffix(z, ".arpa.") {
					zones = append(zones, strconv.Quote(strings.TrimSuffix(z, ".")))
				}
			}
		}
	}
	for _, d := range domains {
		evidence = append(evidence, checks.Quote("Node "+d.node+", kubelet configz clusterDomain", strconv.Quote(d.name)))
	}
	want := domains[0].name
	message := fmt.Sprintf("serves no zone of the cluster, and kubelets tell pods that it is %q: names of Services do not resolve", want)
	if len(zones) > 0 {
		message = fmt.Sprintf("serves %s, and kubelets tell pods that the cluster's domain is %q: names of Services do not resolve", strings.Join(zones, " and "), want)
	}
	return c.finding(message, fmt.Sprintf("Name %s after kubernetes in the Corefile's block for \".\" (%s); "+
		"if the kubelets are what is wrong, correct clusterDomain in their configuration and restart them.", want, c.edit()), evidence...)
}
