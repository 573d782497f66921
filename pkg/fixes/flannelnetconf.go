package fixes

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// FlannelNetConf writes the cluster's range into Flannel's net-conf.json.
var FlannelNetConf = &Fix{
	ID:     "flannel-net-conf",
	Title:  "Write the range of the cluster's pods into Flannel's net-conf.json",
	For:    []*checks.Check{cni.PodCIDRMismatch},
	Risk:   Restarts,
	Settle: proxySettles,
	Plan:   planFlannelNetConf,
	Doc: `Replaces the value of Network (and of IPv6Network) in net-conf.json of Flannel's ConfigMap, keeps every other byte of it, and
restarts Flannel's DaemonSet, one node after the other, since Flannel reads it only when it starts. The value is kubeadm's podSubnet or
--cluster-cidr of the controller manager, if the ranges of all nodes lie within, or that of ` + "`--pod-cidr`" + `. Nodes keep their ranges and pods their
addresses.

It is refused where no such range is known, where those who were told it contradict each other, and where a node has its range outside: such a
node must be made anew. clusterCIDR of kube-proxy is a matter of its own (kube-proxy-cluster-cidr). Flannel that Helm installed has the
range from the value podCidr. "kubectl netdoctor undo" writes the former text back and restarts Flannel once more.`,
}

func planFlannelNetConf(s *facts.Snapshot, _ checks.Finding, params Params) (Plan, error) {
	nets := cni.FlannelNets(s)
	if len(nets) != 1 {
		return Plan{}, fmt.Errorf("there are %d ConfigMaps with a net-conf.json of Flannel; change the right one by hand", len(nets))
	}
	known, err := clusterRange(params, toldRanges(s, false))
	if err != nil {
		return Plan{}, err
	}
	for _, n := range s.LinuxNodes() {
		for _, own := range facts.PodRanges(n) {
			if !known.holds(own) {
				return Plan{}, fmt.Errorf("%s (%s) does not hold %s, the range of %s; name a range that holds those of all nodes with --pod-cidr, or make that node anew",
					known, known.from, own, facts.NodeRef(n.Name))
			}
		}
	}
	cm, err := withNetwork(nets[0], known)
	if err != nil {
		return Plan{}, err
	}
	change, err := changeOf("ConfigMap", "v1", nets[0].ConfigMap, cm)
	if err != nil {
		return Plan{}, err
	}
	d, _, err := flannelSet(s)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Changes: []Change{change}, Warnings: []string{fmt.Sprintf("clusterCIDR of kube-proxy, which must be the same range, is left as it is. (%s tells of the range.)", known.from)}}
	return plan, plan.roll(s, d)
}

// withNetwork returns the ConfigMap with the networks that differ replaced.
func withNetwork(net cni.FlannelNet, known podRange) (*corev1.ConfigMap, error) {
	out := net.ConfigMap.DeepCopy()
	text := out.Data[netConf]
	var err error
	for _, r := range known.ranges {
		key, is := "IPv6Network", net.V6
		if r.Addr().Is4() {
			key, is = "Network", net.V4
		}
		if !is.IsValid() || is == r {
			continue // of a family that Flannel is not configured for
		}
		if text, err = setJSON(text, key, r.String()); err != nil {
			return nil, fmt.Errorf("%s, key %s: %w", configMapRef(out), netConf, err)
		}
	}
	if text == out.Data[netConf] {
		return nil, fmt.Errorf("%s has the network %s already", configMapRef(out), known)
	}
	out.Data[netConf] = text
	return out, nil
}

// netConf is the key of Flannel's ConfigMap with its network.
const netConf = "net-conf.json"

// holds tells whether a range lies in the one of its family.
func (r podRange) holds(p netip.Prefix) bool {
	for _, of := range r.ranges {
		if of.Addr().Is4() == p.Addr().Is4() {
			return of.Bits() <= p.Bits() && of.Contains(p.Addr())
		}
	}
	return false
}

// setJSON replaces the text that a JSON object has under a name, where that name stands
// there once, and nothing else.
func setJSON(text, name, value string) (string, error) {
	var want, got map[string]any
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		return "", err
	}
	want[name] = value
	found := regexp.MustCompile(`"`+regexp.QuoteMeta(name)+`"\s*:\s*"([^"\\]*)"`).FindAllStringSubmatchIndex(text, -1)
	if len(found) != 1 {
		return "", errors.New("the text does not hold the field once; edit it by hand")
	}
	out := text[:found[0][2]] + value + text[found[0][3]:]
	if json.Unmarshal([]byte(out), &got) != nil || !reflect.DeepEqual(got, want) {
		return "", errors.New("the field could not be replaced alone; edit it by hand")
	}
	return out, nil
}
