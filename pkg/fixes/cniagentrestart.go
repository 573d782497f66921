package fixes

import (
	"errors"
	"fmt"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CNIAgentRestart makes the network plugin's agent of one node anew.
var CNIAgentRestart = &Fix{
	ID:    "cni-agent-restart",
	Title: "Delete the network plugin's pod of one node, which sets the node up anew",
	For: []*checks.Check{node.FlannelPublicIP, node.NetworkNotReady, cni.ConfInvalid, cni.ConfMissing, cni.BinaryMissing, cni.SubnetEnvMissing,
		cni.NodenameMissing, cni.WeaveDown},
	Risk:   Restarts,
	Settle: 30 * time.Second, // by then a kubelet has tried again
	Plan:   planCNIAgentRestart,
	Doc: `Deletes the pod of the network plugin on one node. The DaemonSet makes another at once, and that one does again what an agent
does when it starts: its init containers copy the plugin's program and configuration onto the node, and Flannel writes subnet.env and
the address of the node. The pods of the node keep their network meanwhile; new ones wait for some seconds. No object is changed, so
there is nothing to take back.

It is refused where an agent that starts anew would do the same as before: one that is not Ready (its log says why), a program that is
none of the plugin's own, a file that the plugin does not write, an address that Flannel is told or that the nodes have in common. The runtime's own settings it does not touch.`,
}

func planCNIAgentRestart(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	if f.Subject.Kind != facts.Nodes.Kind {
		return Plan{}, errors.New("the finding is about no single node")
	}
	agent, err := agentToRestart(s, f)
	if err != nil {
		return Plan{}, err
	}
	switch {
	case agent.Deleting:
		return Plan{}, fmt.Errorf("%s is being deleted already; look again in a minute", agent.Ref())
	case agent.Static || agent.Owner.Kind != "DaemonSet":
		return Plan{}, fmt.Errorf("%s is made by no DaemonSet, so that nothing would make it anew; restart it on the node", agent.Ref())
	case !agent.Ready:
		return Plan{}, fmt.Errorf("%s is not Ready (%s), and a new one would fail as well; kubectl -n %s logs %s --all-containers tells why",
			agent.Ref(), agent.Trouble(), checks.ShellWord(agent.Namespace), checks.ShellWord(agent.Name))
	}
	plan := Plan{Restarts: []*facts.Pod{agent}, Rollouts: []facts.Ref{agent.Owner}}
	if f.Check == node.FlannelPublicIP {
		plan.Warnings = []string{"If the same address is back afterwards, name the interface by which the nodes reach each other: --with flannel-iface --interface NAME."}
	}
	return plan, nil
}

// agentToRestart returns the agent that sets right what is wrong with its node.
func agentToRestart(s *facts.Snapshot, f checks.Finding) (*facts.Pod, error) {
	on := f.Subject.Name
	switch f.Check {
	case node.FlannelPublicIP:
		if why := node.FlannelKeepsIP(s, on); why != "" {
			return nil, fmt.Errorf("flannel would write the same address again: %s; correct that, or repeat with --with flannel-iface --interface NAME", why)
		}
	case node.NetworkNotReady, cni.ConfInvalid, cni.ConfMissing:
		if n := s.Node(on); f.Check == node.NetworkNotReady && (n == nil || !facts.NoNetworkConfig(facts.NetworkTrouble(n))) {
			return nil, errors.New("the runtime has a configuration, and the plugin itself says that it cannot work; read its words in the node's condition Ready")
		}
		if why := cni.WritesElsewhere(s, on); why != "" {
			return nil, fmt.Errorf("%s %s", f.Subject, why)
		}
		if file, a := cni.AgentWithFile(s, on); file != "" && a == nil {
			return nil, fmt.Errorf("no agent of a network plugin writes %s, which the runtime cannot load: correct it on the node, or rename it to end in .disabled", file)
		}
	case cni.BinaryMissing:
		if a := cni.AgentWithProgram(s, on); a != nil {
			return a, nil
		}
		return nil, fmt.Errorf("no agent of a network plugin copies that program: %s", f.Remedy)
	}
	if a := cni.AgentOn(s, on); a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("%s has no agent of a network plugin, or several", f.Subject)
}
