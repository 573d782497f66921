package fixes

import (
	"errors"
	"fmt"
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
	Doc: `Renames the files in the node's CNI directory that come before the installed plugin's and are of a plugin that is not
installed: they get the ending .netdoctor-aside, which no runtime takes up. Nothing is deleted. The runtime watches the directory;
pods that wait for a network get one with their next try.

Pods that the old configuration has connected keep what they have; make them anew. It is refused where the installed plugin's
own file is not there, because then the node would have none.`,
}

func planCNIConfAside(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	if s.Depth < facts.Host || f.Subject.Kind != "Node" {
		return Plan{}, errors.New("which files are on the node is not known: it takes --depth host")
	}
	left, used := cni.LeftPaths(s, f.Subject.Name)
	switch {
	case len(left) == 0:
		return Plan{}, errors.New("no file that comes first on the node is known to be left over")
	case used == "":
		return Plan{}, fmt.Errorf("Node %s has no file of the plugin that is installed: without the others it would have none", f.Subject.Name)
	}
	plan := Plan{Warnings: []string{"Pods that the old configuration has connected keep what they have: make them anew."}}
	for _, file := range left {
		setting := facts.Setting{Node: f.Subject.Name, Path: file, Moves: true, Value: &file}
		if !setting.Valid() {
			return Plan{}, fmt.Errorf("%s is moved by hand", file)
		}
		aside := setting.Aside()
		plan.Changes = append(plan.Changes, settingChange(setting, &aside))
	}
	return plan, nil
}
