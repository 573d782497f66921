package fixes

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubeproxy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// podRange is the range of the cluster's pods, one of each family, and where it stands.
type podRange struct {
	ranges []netip.Prefix
	from   string
}

// String joins the ranges as kube-proxy and kubeadm do.
func (r podRange) String() string {
	var out []string
	for _, p := range r.ranges {
		out = append(out, p.String())
	}
	return strings.Join(out, ",")
}

// parseRange reads one range, or one of each family with a comma between.
func parseRange(text, from string) (podRange, error) {
	out := podRange{from: from}
	for part := range strings.SplitSeq(text, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(part))
		if err != nil {
			return podRange{}, fmt.Errorf("%s: %q is no range of addresses", from, part)
		}
		if p != p.Masked() {
			return podRange{}, fmt.Errorf("%s: %s has bits behind its mask; write %s", from, p, p.Masked())
		}
		if slices.ContainsFunc(out.ranges, func(o netip.Prefix) bool { return o.Addr().Is4() == p.Addr().Is4() }) {
			return podRange{}, fmt.Errorf("%s: %q has two ranges of one family", from, text)
		}
		out.ranges = append(out.ranges, p)
	}
	return out, nil
}

// clusterRange returns the range of the cluster's pods: what the user says, else what
// those who were told it say. Where they contradict each other, none is believed.
func clusterRange(params Params, told map[string]string) (podRange, error) {
	if params.PodCIDR != "" {
		return parseRange(params.PodCIDR, "--pod-cidr")
	}
	var found podRange
	for _, from := range slices.Sorted(maps.Keys(told)) {
		r, err := parseRange(told[from], from)
		switch {
		case err != nil:
			return podRange{}, fmt.Errorf("%w; name the range of the pods with --pod-cidr", err)
		case found.from != "" && found.String() != r.String():
			return podRange{}, fmt.Errorf("the range of the pods is %s in %s, and %s in %s; name the right one with --pod-cidr", found, found.from, r, r.from)
		case found.from == "":
			found = r
		}
	}
	if found.from == "" {
		return podRange{}, errors.New("the range of the cluster's pods is not known; name it with --pod-cidr")
	}
	return found, nil
}

// toldRanges returns what the parts of the cluster were told of the pods' range, by where
// that stands.
func toldRanges(s *facts.Snapshot, flannel bool) map[string]string {
	out := map[string]string{}
	if text, from := kubeproxy.PodSubnet(s); text != "" {
		out[from+", podSubnet"] = text
	}
	for _, pod := range s.PodsIn("kube-system") {
		for i := range pod.Containers {
			for _, arg := range pod.Containers[i].Command {
				if text, found := strings.CutPrefix(arg, "--cluster-cidr="); found && pod.Labels["component"] == "kube-controller-manager" {
					out[pod.Ref().String()+", --cluster-cidr"] = text
				}
			}
		}
	}
	for _, net := range cni.FlannelNets(s) {
		r := podRange{from: configMapRef(net.ConfigMap).String() + ", " + netConf}
		for _, p := range []netip.Prefix{net.V4, net.V6} {
			if p.IsValid() {
				r.ranges = append(r.ranges, p)
			}
		}
		if flannel {
			out[r.from] = r.String()
		}
	}
	return out
}
