package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// answer is whether something enforces NetworkPolicies.
type answer int

const (
	unsure answer = iota
	yes
	no
)

// others says what policies beside NetworkPolicies an enforcer knows, which are not read.
type others int

const (
	noOthers   others = iota
	fewOthers         // of its own kinds, which may come first
	manyOthers        // of its own kinds, which are usual and add to NetworkPolicies
)

// enforcer is what is known of the enforcement of NetworkPolicies in a cluster.
type enforcer struct {
	answer
	id     string // the plugin's, or k3s
	name   string
	where  string // the object that tells
	why    string // why it does not enforce
	cure   string
	others others
}

const netpolImage = "kube-network-policies"

// findEnforcer reads Nodes, Pods, ConfigMaps, ClusterRoles and ClusterRoleBindings. What
// enforces runs on every node, so it shows as pods, or as part of k3s; where none of the
// known ones is seen, nobody can tell.
func findEnforcer(s *facts.Snapshot) enforcer {
	all := []enforcer{k3s(s)}
	asked := map[string]bool{}
	for _, p := range s.Pods {
		if (p.Owner.Kind != "DaemonSet" && !p.HostNetwork) || p.Finished() || p.Deleting {
			continue
		}
		if runs(p, netpolImage) {
			return enforcer{answer: yes, id: netpolImage, name: netpolImage, where: place(p)}
		}
		plugin := plugins.Agent(p)
		if plugin == nil || asked[plugin.ID] {
			continue
		}
		asked[plugin.ID] = true
		if plugin.Kind != plugins.Meta {
			all = append(all, ask(s, plugin, p))
		}
	}
	return conclude(all)
}

// conclude takes the one that enforces, the one with the most policies of its own where
// there are several; else the first that cannot tell, and else the first that does not.
func conclude(all []enforcer) enforcer {
	var best enforcer
	for _, e := range all {
		switch {
		case e.name == "":
		case e.answer == yes && (best.answer != yes || e.others > best.others):
			best = e
		case best.name == "" || best.answer == no && e.answer == unsure:
			best = e
		}
	}
	return best
}

// ask tells what one plugin does, given one of its agents.
func ask(s *facts.Snapshot, plugin *plugins.Plugin, p *facts.Pod) enforcer {
	e := enforcer{answer: yes, id: plugin.ID, name: plugin.Name, where: place(p), others: othersOf(plugin.ID)}
	deny := func(why, cure string) { e.answer, e.why, e.cure = no, why, cure }
	switch plugin.ID {
	case "flannel":
		deny("it routes packets, and no "+netpolImage+" runs beside it", "Run "+netpolImage+" beside it (netpol.enabled=true in its Helm chart; "+
			plugins.Named(netpolImage).Install.Page+")")
	case "weave":
		if !runs(p, "weave-npc") {
			deny("no container weave-npc runs in its pods", "Run weave-npc in its DaemonSet, as its manifest does")
		}
	case "aws-vpc":
		if value, _ := flag(p, "enable-network-policy"); !value {
			deny("no container of its pods has --enable-network-policy=true", "Enable network policies in the add-on vpc-cni (enableNetworkPolicy)")
		}
	case "kube-router":
		if value, given := flag(p, "run-firewall"); given && !value {
			deny("it runs with --run-firewall=false", "Start kube-router with --run-firewall=true")
		}
	case "cilium":
		if why := ciliumOff(s); why != "" {
			deny(why, "Take that setting out of ConfigMap cilium-config and restart the agents")
		}
	case "kindnet":
		e.answer = mayRead(s, p)
		e.why, e.cure = "its ServiceAccount may not list NetworkPolicies, as before kind 0.24", "Make the cluster anew with kind 0.24 or later"
	default:
		if plugin.EnforcesNetworkPolicy != "yes" {
			e.answer = unsure
		}
	}
	return e
}

func othersOf(id string) others {
	switch id {
	case "cilium", "gke-dataplane-v2", "antrea":
		return manyOthers
	case "calico", "canal", "ovn-kubernetes", "aws-vpc":
		return fewOthers
	}
	return noOthers
}

// k3s enforces NetworkPolicies inside its own process unless its servers are told not to.
// Nodes carry the arguments that they were started with, those of its file included.
func k3s(s *facts.Snapshot) enforcer {
	var e enforcer
	for _, n := range s.Nodes {
		if !strings.Contains(n.Status.NodeInfo.KubeletVersion, "+k3s") {
			continue
		}
		if e.name == "" {
			e = enforcer{answer: yes, id: "k3s", name: "k3s", where: "Node " + n.Name}
		}
		var args []string
		if json.Unmarshal([]byte(n.Annotations["k3s.io/node-args"]), &args) != nil {
			continue
		}
		if value, given := flagIn(args, "disable-network-policy"); given && value {
			return enforcer{answer: no, id: "k3s", name: "k3s", where: "Node " + n.Name, why: "it runs with --disable-network-policy",
				cure: "Start the k3s servers without --disable-network-policy"}
		}
	}
	return e
}

func ciliumOff(s *facts.Snapshot) string {
	for _, cm := range s.ConfigMaps {
		if cm.Name != "cilium-config" || !facts.SystemNamespace(cm.Namespace) {
			continue
		}
		for key, off := range map[string]string{"enable-k8s-networkpolicy": "false", "enable-policy": "never"} {
			if cm.Data[key] == off {
				return fmt.Sprintf("ConfigMap %s/%s says %s: %s", cm.Namespace, cm.Name, key, off)
			}
		}
	}
	return ""
}

// mayRead tells whether an agent may list NetworkPolicies: one that may not, enforces
// none.
func mayRead(s *facts.Snapshot, p *facts.Pod) answer {
	if s.Missing(facts.ClusterRoles) != "" || s.Missing(facts.ClusterRoleBindings) != "" {
		return unsure
	}
	bound := false
	for _, b := range s.ClusterRoleBindings {
		if b.RoleRef.Kind != "ClusterRole" || !slices.ContainsFunc(b.Subjects, func(sub rbacv1.Subject) bool {
			return sub.Kind == "ServiceAccount" && sub.Namespace == p.Namespace && sub.Name == p.ServiceAccount
		}) {
			continue
		}
		for _, role := range s.ClusterRoles {
			if role.Name != b.RoleRef.Name {
				continue
			}
			bound = true
			if slices.ContainsFunc(role.Rules, listsPolicies) {
				return yes
			}
		}
	}
	if !bound {
		return unsure
	}
	return no
}

func listsPolicies(r rbacv1.PolicyRule) bool {
	has := func(list []string, want string) bool {
		return slices.Contains(list, want) || slices.Contains(list, "*")
	}
	return has(r.APIGroups, "networking.k8s.io") && has(r.Resources, "networkpolicies") && has(r.Verbs, "list")
}

func runs(p *facts.Pod, image string) bool {
	return slices.ContainsFunc(p.Containers, func(c facts.Container) bool { return strings.Contains(c.Image, image) })
}

// flag returns the value of a boolean flag that some container of a pod is started with.
func flag(p *facts.Pod, name string) (value, given bool) {
	for i := range p.Containers {
		if value, given = flagIn(p.Containers[i].Command, name); given {
			return value, true
		}
	}
	return false, false
}

func flagIn(args []string, name string) (value, given bool) {
	for i, arg := range args {
		key, text, assigned := strings.Cut(arg, "=")
		if key != "--"+name {
			continue
		}
		if !assigned && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			text, assigned = args[i+1], true
		}
		on, err := strconv.ParseBool(text)
		return !assigned || err == nil && on, true
	}
	return false, false
}

// place names what an agent belongs to.
func place(p *facts.Pod) string {
	if p.Owner.Kind != "" {
		return p.Owner.String()
	}
	return p.Ref().String()
}
