package node

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// plan is what kubeadm was told of the cluster's ranges, and its ConfigMap.
type plan struct {
	cm             *corev1.ConfigMap
	pods, services []netip.Prefix
}

// planned returns what kubeadm keeps in the system namespace, if it made the cluster.
func planned(s *facts.Snapshot) (plan, bool) {
	for _, cm := range s.ConfigMaps {
		text, found := cm.Data["ClusterConfiguration"]
		if !found || cm.Namespace != "kube-system" {
			continue
		}
		var config struct {
			Networking struct {
				PodSubnet     string `json:"podSubnet"`
				ServiceSubnet string `json:"serviceSubnet"`
			} `json:"networking"`
		}
		if yaml.Unmarshal([]byte(text), &config) != nil {
			continue
		}
		return plan{cm, prefixes(config.Networking.PodSubnet), prefixes(config.Networking.ServiceSubnet)}, true
	}
	return plan{}, false
}

// prefixes reads ranges that are parted by commas.
func prefixes(list string) []netip.Prefix {
	var out []netip.Prefix
	for text := range strings.SplitSeq(list, ",") {
		if p, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}

// findings tells what will go wrong with these ranges some day; what is wrong already is
// told of the nodes.
func (p plan) findings(s *facts.Snapshot, wrongAlready bool) []checks.Finding {
	var out []checks.Finding
	pods := slices.IndexFunc(p.pods, func(r netip.Prefix) bool { return slices.ContainsFunc(p.services, r.Overlaps) })
	if pods >= 0 && !wrongAlready {
		out = append(out, p.finding("plans ranges of pods and of Services that overlap: pods will get addresses of Services",
			checks.Quote(configRef(p.cm).String()+", ClusterConfiguration", "podSubnet: "+p.pods[pods].String())))
	}
	var within []checks.Evidence
	for _, n := range s.Nodes {
		for _, ip := range addressesOf(n, corev1.NodeInternalIP) {
			inside := slices.ContainsFunc(p.services, func(r netip.Prefix) bool { return r.Contains(ip) })
			if inside && !silent(n) && len(within) < maxQuoted {
				within = append(within, checks.Quote("Node "+n.Name, "InternalIP: "+ip.String()))
			}
		}
	}
	if len(within) > 0 {
		out = append(out, p.finding("plans a range of Services in which nodes have their addresses: a Service may get that of a node", within...))
	}
	return out
}

func (p plan) finding(message string, evidence ...checks.Evidence) checks.Finding {
	var services []string
	for _, r := range p.services {
		services = append(services, r.String())
	}
	return checks.Finding{
		Subject: configRef(p.cm), Message: message, Severity: checks.Warning,
		Remedy: "Make the range of Services one that nothing else has: since Kubernetes 1.33 a further one can be added as a ServiceCIDR, " +
			"before that only a new cluster helps.",
		Evidence: append([]checks.Evidence{checks.Quote(configRef(p.cm).String()+", ClusterConfiguration", "serviceSubnet: "+strings.Join(services, ","))}, evidence...),
	}
}
