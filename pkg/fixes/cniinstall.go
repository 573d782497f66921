package fixes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// CNIInstall installs a network plugin in a cluster that has none.
var CNIInstall = &Fix{
	ID:     "cni-install",
	Title:  "Install a network plugin with the cluster's pod range",
	For:    []*checks.Check{cni.NotInstalled},
	Risk:   Disrupts,
	Settle: proxySettles,
	Plan:   planCNIInstall,
	Doc: `Creates every object of the plugin's manifest, in its order, namespaces and definitions first, with the range of the cluster's pods in it:
net-conf.json of Flannel, CALICO_IPV4POOL_CIDR of Calico, IPALLOC_RANGE of Weave Net. The range is kubeadm's podSubnet, --cluster-cidr of the controller
manager, or that of ` + "`--pod-cidr`" + `. Which plugin is right for a cluster only you know: Flannel enforces no NetworkPolicy, Calico and Cilium do.

The manifest is what ` + "`--manifest`" + ` names, or for ` + "`--plugin`" + ` alone that of the one release which plugins.yaml pins: for Flannel, Calico, Canal and Weave Net,
whose fork goes on; Cilium's makers install it with Helm. The plan tells its address, release and sha256. Where plugins.yaml or ` + "`--manifest-sha256`" + ` has a sum, another one is refused,
and what comes over plain http is read only with the latter; where none has, the plan says that the sum was compared with nothing.

It is refused where a plugin or the operator of one is there, where one of the objects exists and is another one, where the range is not known, where Flannel is chosen and
a node has no range of its own or one outside, and where the manifest has no agent of that plugin. Other plugins are installed as their
manifests say. What agents have written on the nodes (/etc/cni/net.d, interfaces, rules) "kubectl netdoctor undo" does not take back: it deletes the
objects, and nodes keep a network until they are started again.`,
}

func planCNIInstall(s *facts.Snapshot, _ checks.Finding, params Params) (Plan, error) {
	chosen, err := chosenPlugin(s, params)
	if err != nil {
		return Plan{}, err
	}
	asItIs := chosen.ID != "flannel" && byVariable[chosen.ID] == variable{}
	known, err := clusterRange(params, toldRanges(s, false))
	if err != nil && !asItIs {
		return Plan{}, err
	}
	if strings.TrimSpace(params.Manifest) == "" {
		return Plan{}, &NoManifestError{chosen}
	}
	list, err := readManifest(params.Manifest)
	if err != nil {
		return Plan{}, fmt.Errorf("the manifest of %s: %w", chosen.Name, err)
	}
	plan := Plan{Origin: params.Origin, Warnings: []string{"What the agents write on the nodes (/etc/cni/net.d, interfaces, rules) stays when this repair is taken back."}}
	if chosen.Status.State == "archived" {
		plan.Warnings = append(plan.Warnings, chosen.Name+": "+chosen.Status.Text)
	}
	if asItIs {
		plan.Manual = []string{fmt.Sprintf("See that %s takes its pods' addresses from the range of the cluster: its manifest is applied as it is.", chosen.Name)}
	} else {
		if err := rangeInto(s, chosen, list, known); err != nil {
			return Plan{}, err
		}
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("The range %s, of which %s tells, cannot be changed later without work on every node.", known, known.from))
	}
	agents := 0
	for _, o := range list {
		create, err := absent(s, o)
		if err != nil {
			return Plan{}, err
		}
		if !create {
			continue
		}
		if o.GetKind() == "DaemonSet" && isAgentOf(chosen, o) {
			agents++
			plan.Rollouts = append(plan.Rollouts, facts.Ref{Kind: "DaemonSet", Namespace: o.GetNamespace(), Name: o.GetName()})
		}
		plan.Changes = append(plan.Changes, Change{After: o})
	}
	if agents == 0 {
		return Plan{}, fmt.Errorf("the manifest has no DaemonSet of %s: is it that of another plugin, or of its operator?", chosen.Name)
	}
	return plan, nil
}

// chosenPlugin returns the plugin to install, if none is there.
func chosenPlugin(s *facts.Snapshot, params Params) (*plugins.Plugin, error) {
	if there, missing := cni.MissingPlugin(s); !missing {
		return nil, fmt.Errorf("%s is installed, or its operator: two plugins would fight over the nodes", there)
	}
	if params.Plugin == "" {
		var ids []string
		for _, p := range plugins.Installable() {
			ids = append(ids, p.ID)
		}
		return nil, fmt.Errorf("which plugin is for you to choose: repeat with --plugin (%s)", strings.Join(ids, ", "))
	}
	chosen := plugins.Named(params.Plugin)
	if chosen == nil || chosen.Kind != plugins.Primary {
		return nil, fmt.Errorf("--plugin %q: no network plugin of that name is known", params.Plugin)
	}
	return chosen, nil
}

// NoManifestError says that a plugin's manifest must be read before its installation can be
// planned: the one of the catalogue, or where that has none one that the user names.
type NoManifestError struct{ Plugin *plugins.Plugin }

// Error says what to name, and how its makers install it.
func (e *NoManifestError) Error() string {
	install := e.Plugin.Install
	if install.Manifest.URL != "" {
		return fmt.Sprintf("the manifest of %s was not read: name it with --manifest FILE or URL; plugins.yaml has %s", e.Plugin.Name, install.Manifest.URL)
	}
	text := fmt.Sprintf("plugins.yaml has no manifest of %s: repeat with --manifest FILE or URL; %s tells how it is installed", e.Plugin.Name, install.Page)
	if install.Command != "" {
		text += " (" + install.Command + ")"
	}
	return text
}

// isAgentOf tells whether a DaemonSet of the manifest is the plugin's.
func isAgentOf(p *plugins.Plugin, o *unstructured.Unstructured) bool {
	labels, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
	return p.Makes(facts.Ref{Kind: "DaemonSet", Namespace: o.GetNamespace(), Name: o.GetName()}, labels)
}

// rangeInto writes the range of the cluster into the manifest.
func rangeInto(s *facts.Snapshot, chosen *plugins.Plugin, list []*unstructured.Unstructured, known podRange) error {
	if told, ok := byVariable[chosen.ID]; ok {
		return rangeVariable(chosen, told, list, known)
	}
	for _, n := range s.LinuxNodes() {
		own := facts.PodRanges(n)
		if len(own) == 0 {
			return fmt.Errorf("%s has no podCIDR, which Flannel needs: let the controller manager give one (--allocate-node-cidrs, --cluster-cidr)", facts.NodeRef(n.Name))
		}
		for _, p := range own {
			if !known.holds(p) {
				return fmt.Errorf("%s (%s) does not hold %s, the range of %s; name the one that does with --pod-cidr", known, known.from, p, facts.NodeRef(n.Name))
			}
		}
	}
	written := 0
	for _, o := range list {
		text, found, _ := unstructured.NestedString(o.Object, "data", netConf)
		if o.GetKind() != "ConfigMap" || !found {
			continue
		}
		for _, r := range known.ranges {
			key := "Network"
			if !r.Addr().Is4() {
				key = "IPv6Network"
			}
			out, err := setJSON(text, key, r.String())
			if err != nil {
				return fmt.Errorf("%s of the manifest, %s: %w", netConf, key, err)
			}
			text = out
			written++
		}
		if err := unstructured.SetNestedField(o.Object, text, "data", netConf); err != nil {
			return err
		}
	}
	if written != len(known.ranges) {
		return errors.New("the manifest of Flannel does not hold net-conf.json once")
	}
	return nil
}

// variable names the one by which an agent is told the range of all pods.
type variable struct{ daemonSet, name string }

// byVariable are the plugins whose agents read the range from their first container's
// environment. Calico makes its first pool of it, Weave Net shares it out among the nodes.
var byVariable = map[string]variable{
	"calico": {"calico-node", "CALICO_IPV4POOL_CIDR"},
	"weave":  {"weave-net", "IPALLOC_RANGE"},
}

// rangeVariable tells the agents the range, whatever the manifest says of it.
func rangeVariable(chosen *plugins.Plugin, told variable, list []*unstructured.Unstructured, known podRange) error {
	if len(known.ranges) > 1 || !known.ranges[0].Addr().Is4() {
		return fmt.Errorf("%s (%s) is not one range of IPv4: the manifest needs more than a range then; edit it by hand", known, known.from)
	}
	for _, o := range list {
		containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
		if o.GetKind() != "DaemonSet" || o.GetName() != told.daemonSet || len(containers) == 0 {
			continue
		}
		c, _ := containers[0].(map[string]any)
		env, _, _ := unstructured.NestedSlice(c, "env")
		env = slices.DeleteFunc(env, func(e any) bool { m, _ := e.(map[string]any); return m["name"] == told.name })
		c["env"] = append(env, map[string]any{"name": told.name, "value": known.String()})
		return unstructured.SetNestedSlice(o.Object, containers, "spec", "template", "spec", "containers")
	}
	return fmt.Errorf("the manifest of %s has no DaemonSet %s; that of an operator must be applied by hand", chosen.Name, told.daemonSet)
}
