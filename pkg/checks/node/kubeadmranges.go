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
		out = append(out, p.overlapping(s, p.pods[pods]))
	}
	if within := standing(s, p.services); len(within) > 0 {
		out = append(out, p.finding("plans a range of Services in which nodes have their addresses: a Service may get that of a node", within...))
	}
	return out
}

// overlapping tells of a range of pods that is also one of Services, which is an error as
// soon as a pod has got an address of it.
func (p plan) overlapping(s *facts.Snapshot, pods netip.Prefix) checks.Finding {
	from := checks.Quote(configRef(p.cm).String()+", ClusterConfiguration", "podSubnet: "+pods.String())
	i := slices.IndexFunc(p.services, pods.Overlaps)
	both := pods
	if p.services[i].Bits() > pods.Bits() {
		both = p.services[i]
	}
	pod := p.holder(s, both)
	if pod == nil {
		return p.finding("plans ranges of pods and of Services that overlap: pods will get addresses of Services", from)
	}
	f := p.finding("plans ranges of pods and of Services that overlap: pods have addresses of Services, and are out of reach where a Service gets the same",
		from, checks.Quote(pod.Ref().String(), "podIP: "+strings.Join(pod.IPs(), ", ")))
	f.Severity = checks.Error
	return f
}

// standing quotes nodes whose addresses lie in one of some ranges.
func standing(s *facts.Snapshot, ranges []netip.Prefix) []checks.Evidence {
	var within []checks.Evidence
	for _, n := range s.Nodes {
		for _, ip := range addressesOf(n, corev1.NodeInternalIP) {
			inside := slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Contains(ip) })
			if inside && !silent(n) && len(within) < maxQuoted {
				within = append(within, checks.Quote("Node "+n.Name, "InternalIP: "+ip.String()))
			}
		}
	}
	return within
}

// given returns the planned ranges of pods out of which pods have got an address.
func (p plan) given(s *facts.Snapshot) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(p.pods), func(r netip.Prefix) bool { return p.holder(s, r) == nil })
}

// holder returns a pod that has got an address out of a range, or nil.
func (p plan) holder(s *facts.Snapshot, r netip.Prefix) *facts.Pod {
	for _, pod := range s.Pods {
		if pod.HostNetwork {
			continue
		}
		for _, text := range pod.IPs() {
			if ip, err := netip.ParseAddr(text); err == nil && r.Contains(ip.Unmap()) {
				return pod
			}
		}
	}
	return nil
}

// amongPods tells of nodes that stand in a range out of which pods get their addresses.
func (p plan) amongPods(s *facts.Snapshot) []checks.Finding {
	for _, r := range p.given(s) {
		within := standing(s, []netip.Prefix{r})
		if len(within) == 0 {
			continue
		}
		pod := p.holder(s, r)
		return []checks.Finding{{
			Subject: configRef(p.cm), Severity: checks.Warning,
			Message: "plans a range of pods in which nodes have their addresses: some of these machines are out of reach from pods, or pods from them",
			Remedy: "Give the pods a range that nothing else has. Calico can be moved: make an IPPool with the new range, disable the old one and re-create the pods; " +
				"with other plugins make the cluster anew.",
			Evidence: append([]checks.Evidence{checks.Quote(configRef(p.cm).String()+", ClusterConfiguration", "podSubnet: "+r.String()),
				checks.Quote(pod.Ref().String(), "podIP: "+strings.Join(pod.IPs(), ", "))}, within...),
		}}
	}
	return nil
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

func configRef(cm *corev1.ConfigMap) facts.Ref {
	return facts.Ref{Kind: "ConfigMap", Namespace: cm.Namespace, Name: cm.Name}
}
