package fixes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// sandboxAgain is how long a pod that waits for a network may take to get one: the kubelet
// tries again after ten seconds, or up to half as long again (k8s.io/kubernetes
// pkg/kubelet/pod_workers.go, backOffPeriod and its jitter), and the plugin takes a moment.
const sandboxAgain = 20 * time.Second

// CNIConfAside takes a configuration out of use that another plugin left on a node.
var CNIConfAside = &Fix{
	ID:      "cni-conf-aside",
	Title:   "Move another network plugin's leftover configuration aside",
	For:     []*checks.Check{cni.Residue},
	Risk:    Harmless,
	OnNodes: true,
	Settle:  sandboxAgain,
	Plan:    planCNIConfAside,
	Doc: `Renames the files in the node's CNI directory that are of a plugin that is not installed: they get the ending
.netdoctor-aside, which no runtime takes up. Those that come before the installed plugin's are in use, those behind it would be as soon as
that one is gone for a moment. Nothing is deleted. The runtime watches the directory; pods that wait for a network get one with their next try.

Pods that the old configuration has connected keep what they have; make them anew. It is refused where the installed plugin's
own file is not there, because then the node would have none, or another one.`,
}

func planCNIConfAside(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	if s.Depth < facts.Host || f.Subject.Kind != "Node" {
		return Plan{}, errors.New("which files are on the node is not known: it takes --depth host")
	}
	node := f.Subject.Name
	left, known := cni.LeftOn(s, node)
	all := slices.Concat(left.Before, left.Behind)
	switch {
	case !known:
		return Plan{}, fmt.Errorf("which network configurations are on Node %s is not known", node)
	case len(all) == 0:
		return Plan{}, fmt.Errorf("no file on Node %s is known to be left over", node)
	case left.Used == "":
		return Plan{}, fmt.Errorf("node %s has no file of the plugin that is installed, and without %s it would have none: delete that plugin's pod there, so that it writes its own", node, strings.Join(all, ", "))
	case !left.Whose:
		return Plan{}, fmt.Errorf("without %s Node %s would use %s, which is not known to be of the plugin that is installed: look at it first", strings.Join(all, ", "), node, left.Used)
	}
	var plan Plan
	if len(left.Before) > 0 {
		plan.Warnings = []string{"Pods that the old configuration has connected keep what they have: make them anew."}
	}
	for _, file := range all {
		setting := facts.Setting{Node: node, Path: file, Moves: true, Value: &file}
		if !setting.Valid() {
			return Plan{}, fmt.Errorf("%s of Node %s is none that a repair moves: move it by hand", file, node)
		}
		aside := setting.Aside()
		plan.Changes = append(plan.Changes, settingChange(setting, &aside))
	}
	return plan, nil
}
