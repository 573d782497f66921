package traffic

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// Hairpin finds nodes on which a pod does not reach itself through a Service.
var Hairpin = &checks.Check{
	ID:       "hairpin",
	Title:    "Pods reach themselves through their own Service",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/#a-pod-fails-to-reach-itself-via-the-service-ip",
	Needs:    []*facts.Source{facts.Tries},
	MayUse:   []*facts.Source{facts.Nodes, facts.Pods, facts.NetworkPolicies, facts.Files},
	Parts:    tries.Parts(noWayBack),
	ByHand: []string{"kubectl exec POD -- wget -qO- -T2 http://CLUSTERIP:PORT  # of a Service that leads to this pod alone; repeat it from another pod of the node",
		"grep -r hairpinMode /etc/cni/net.d  # on the node", "grep . /sys/class/net/*/brport/hairpin_mode  # on the node"},
	Run: unless(findHairpin),
	Doc: `A pod on each of some nodes connected to a Service that leads back to itself, and in vain; another pod of the node reached it by the same
Service, so its rules are there. A program meets this where it calls its own Service: most times it gets another replica, and now and then, or
always where there is but one, no answer. It looks like a flaky application.

What the pod sends to the Service comes back to the port of the bridge that it came from, and a bridge drops that unless the port is in hairpin
mode. The plugin sets it when it makes the pod's interface: ` + "`hairpinMode: true`" + ` of the plugin bridge, below ` + "`delegate`" + ` with Flannel.
hairpinMode of the kubelet has no effect where a network plugin is at work. Without a bridge, or with hairpin mode on, the pod's own address as
the sender is what fails: kube-proxy masquerades what a pod sends to itself, unless its rules are passed over.

**False alarm**: none is known; policies of the namespace ` + facts.ProbeNamespace + ` leave it unknown.

**Cure**: set hairpinMode in the plugin's configuration (Flannel: key cni-conf.json of ConfigMap kube-flannel-cfg, then restart its DaemonSet), and
restart the pods on the node: it is set when a pod is made.`,
}

// backAndForth returns what the pod of a node that stands behind a Service of its own tried
// with it, and what the pod beside it did; nil for what nobody tried.
func backAndForth(s *facts.Snapshot, node string) (own, beside *facts.Try) {
	for _, t := range tries.From(s, node, facts.TargetOwnService, facts.TargetLocalService) {
		if t.Target == facts.TargetOwnService {
			own = &t
		} else {
			beside = &t
		}
	}
	return own, beside
}

// noWayBack says why it is not known whether pods of a node reach themselves, or "".
func noWayBack(s *facts.Snapshot, node string) string {
	own, beside := backAndForth(s, node)
	switch {
	case own == nil:
		why := "no pod there tried a Service of its own"
		for _, t := range s.Tries {
			if t.Node == node && t.Target == facts.TargetOwnService && t.Err != "" {
				why += ": " + t.Err
			}
		}
		return why
	case own.Dead() && (beside == nil || beside.Dead()):
		return "another pod did not reach that Service either"
	}
	return ""
}

func findHairpin(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, node := range tries.Nodes(s) {
		own, beside := backAndForth(s, node)
		if own == nil || !own.Dead() || beside == nil || beside.Dead() {
			continue
		}
		f := checks.Finding{
			Subject: facts.NodeRef(node), Message: "does not lead its pods back to themselves through a Service",
			Evidence: []checks.Evidence{tries.Quote(*own), tries.Quote(*beside)},
			Remedy: "Set hairpinMode: true in the network plugin's configuration, where it has it, and restart the pods there. " +
				"If it is on, look at what masquerades a pod's own address: the nat rules of kube-proxy, or of what replaces it." + tries.Rulers(s),
		}
		if e, on := hairpinMode(s, node); e != nil {
			f.Evidence = append(f.Evidence, *e)
			if !on {
				f.Remedy = "Set hairpinMode: true there, which for Flannel is done in ConfigMap kube-flannel-cfg, and restart the pods of the node: it is set when a pod is made."
			}
		}
		out = append(out, f)
	}
	return out
}

// hairpinMode quotes what the configuration of a node's plugin says of it, where that was read
// and the plugin has such a setting, and tells whether it is on.
func hairpinMode(s *facts.Snapshot, node string) (quote *checks.Evidence, on bool) {
	n := s.Node(node)
	if n == nil {
		return nil, false
	}
	cni := host.Of(s, node).CNI(n)
	used := cni.Used()
	if used == nil {
		return nil, false
	}
	i := slices.IndexFunc(used.Plugins, func(p host.ConfPlugin) bool {
		return slices.Contains([]string{"bridge", "flannel", "weave-net"}, p.Type)
	})
	if i < 0 {
		return nil, false
	}
	type setting struct {
		HairpinMode *bool `json:"hairpinMode"`
	}
	var set struct {
		setting
		Delegate setting `json:"delegate"` // of flannel
	}
	if json.Unmarshal(used.Plugins[i].Raw, &set) != nil {
		return nil, false
	}
	said := "hairpinMode is not set"
	if mode := cmp.Or(set.HairpinMode, set.Delegate.HairpinMode); mode != nil {
		on, said = *mode, fmt.Sprintf("hairpinMode: %t", *mode)
	}
	e := checks.Quote(used.Path+" of Node "+node, "plugin "+used.Plugins[i].Type+": "+said)
	return &e, on
}
