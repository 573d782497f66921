package fixes

import (
	"errors"
	"fmt"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubeproxy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/yamlline"
)

// KubeProxyMode writes the mode out in which kube-proxy runs.
var KubeProxyMode = &Fix{
	ID:    "kubeproxy-mode",
	Title: "Write mode: iptables, which is what runs, into kube-proxy's configuration",
	For:   []*checks.Check{kubeproxy.ModeUnset},
	Risk:  Harmless,
	Plan:  planKubeProxyMode,
	Doc: `Writes mode: iptables into kube-proxy's ConfigMap and keeps every other byte of it. That is the mode in which all versions up to 1.39 run
where none is chosen, so nothing changes and nothing is restarted; from 1.40 on the default is nftables, and an upgrade would change the mode of
all nodes unasked.

It is refused where a kube-proxy says that it runs in another mode. It does not move anybody to nftables: that is a decision with its own
conditions (kernel from 5.13 on, what answers NodePorts). kubeadm upgrade keeps it. "kubectl netdoctor undo" takes it out again.`,
}

func planKubeProxyMode(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	sets := concerned(s, f)
	if len(sets) == 0 || sets[0].Config == nil {
		return Plan{}, errors.New("the configuration is not in a ConfigMap that a DaemonSet of kube-proxy mounts; set mode where it stands")
	}
	for _, p := range sets {
		for _, mode := range p.RanIn() {
			if mode != "iptables" {
				return Plan{}, fmt.Errorf("%s has pods that run in mode %s; write that, or iptables, by hand", p.Ref(), mode)
			}
		}
	}
	text, err := yamlline.Set(sets[0].Config.Text, "iptables", "mode")
	cm, err := rewritten(sets[0].Config, text, err)
	if err != nil {
		return Plan{}, err
	}
	if why := sets[0].Fatal(); len(why) > 0 {
		return Plan{}, fmt.Errorf("%s %s; cure that first", why[0].Subject, why[0].Message)
	}
	change, err := changeOf("ConfigMap", "v1", s.ConfigMap(cm.Namespace, cm.Name), cm)
	return Plan{Changes: []Change{change}}, err
}
