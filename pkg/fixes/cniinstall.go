package fixes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

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
	Doc: `Creates every object of the plugin's manifest (` + "`--plugin`, `--manifest`" + `), in its order, namespaces and definitions first, with the range
of the cluster's pods in it: net-conf.json of Flannel, CALICO_IPV4POOL_CIDR of Calico. The range is kubeadm's podSubnet, --cluster-cidr of the controller
manager, or that of ` + "`--pod-cidr`" + `. Which plugin is right for a cluster only you know: Flannel enforces no NetworkPolicy, Calico and Cilium do.

It is refused where a plugin or the operator of one is there, where one of the objects exists and is another one, where the range is not known, where Flannel is chosen and
a node has no range of its own or one outside, and where the manifest has no agent of that plugin. Cilium and Weave Net are installed as the
manifest says. What agents have written on the nodes (/etc/cni/net.d, interfaces, rules) "kubectl netdoctor undo" does not take back: it deletes the
objects, and nodes keep a network until they are started again.`,
}

func planCNIInstall(s *facts.Snapshot, _ checks.Finding, params Params) (Plan, error) {
	chosen, err := chosenPlugin(s, params)
	if err != nil {
		return Plan{}, err
	}
	list, err := readManifest(params.Manifest)
	if err != nil {
		return Plan{}, fmt.Errorf("the manifest of %s: %w", chosen.Name, err)
	}
	plan := Plan{Warnings: []string{"What the agents write on the nodes (/etc/cni/net.d, interfaces, rules) stays when this repair is taken back."}}
	known, err := clusterRange(params, toldRanges(s, false))
	switch {
	case chosen.ID != "flannel" && chosen.ID != "calico":
		plan.Manual = []string{fmt.Sprintf("See that %s takes its pods' addresses from the range of the cluster: its manifest is applied as it is.", chosen.Name)}
	case err != nil:
		return Plan{}, err
	default:
		if err := rangeInto(s, chosen.ID, list, known); err != nil {
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
		return nil, fmt.Errorf("which plugin is for you to choose: repeat with --plugin (%s) and --manifest", strings.Join(ids, ", "))
	}
	chosen := plugins.Named(params.Plugin)
	if chosen == nil || chosen.Kind != plugins.Primary {
		return nil, fmt.Errorf("--plugin %q: no network plugin of that name is known", params.Plugin)
	}
	if strings.TrimSpace(params.Manifest) == "" {
		return nil, fmt.Errorf("the manifest of %s is needed: repeat with --manifest FILE or URL; %s tells where it is", chosen.Name, chosen.Install.Page)
	}
	return chosen, nil
}

// readManifest reads objects that are parted by lines of ---, and sorts those first that
// others need.
func readManifest(text string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	seen := map[facts.Ref]bool{}
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("it is no YAML: %w", err)
		}
		if len(o.Object) == 0 {
			continue
		}
		ref := (Change{After: o}).Ref()
		switch {
		case o.GetKind() == "" || o.GetAPIVersion() == "" || o.GetName() == "":
			return nil, errors.New("it holds something that is no object of the API (without kind, apiVersion or name)")
		case seen[ref]:
			return nil, fmt.Errorf("it holds %s twice", ref)
		}
		seen[ref] = true
		out = append(out, o)
	}
	if len(out) == 0 {
		return nil, errors.New("it holds no object")
	}
	slices.SortStableFunc(out, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	return out, nil
}

// rank is the place of a kind among those that others need.
func rank(o *unstructured.Unstructured) int {
	first := []string{"Namespace", "CustomResourceDefinition"}
	if i := slices.Index(first, o.GetKind()); i >= 0 {
		return i
	}
	return len(first)
}

// absent tells whether an object must be created: one that is there as the manifest has
// it need not, another one is refused. Of kinds that were not read the API server tells.
func absent(s *facts.Snapshot, o *unstructured.Unstructured) (bool, error) {
	ref := (Change{After: o}).Ref()
	there := present(s, ref)
	if there == nil {
		return true, nil
	}
	have, err := runtime.DefaultUnstructuredConverter.ToUnstructured(there)
	if err != nil {
		return false, err
	}
	want := maps.Clone(o.Object)
	for _, field := range []string{"apiVersion", "kind", "status"} {
		delete(want, field)
	}
	if !within(want, have) {
		return false, fmt.Errorf("%s exists already and is another one than in the manifest, perhaps of an earlier installation; delete what is left of that, or apply the manifest by hand", ref)
	}
	return false, nil
}

// present returns the object that a reference names, or nil.
func present(s *facts.Snapshot, ref facts.Ref) any {
	switch ref.Kind {
	case "Namespace":
		return called(s.Namespaces, ref)
	case "ConfigMap":
		return called(s.ConfigMaps, ref)
	case "ServiceAccount":
		return called(s.ServiceAccounts, ref)
	case "ClusterRole":
		return called(s.ClusterRoles, ref)
	case "ClusterRoleBinding":
		return called(s.ClusterRoleBindings, ref)
	case "Deployment":
		return called(s.Deployments, ref)
	case "DaemonSet":
		return called(s.DaemonSets, ref)
	}
	return nil
}

func called[T metav1.Object](list []T, ref facts.Ref) any {
	for _, o := range list {
		if o.GetNamespace() == ref.Namespace && o.GetName() == ref.Name {
			return o
		}
	}
	return nil
}

// within tells whether all that one value says is said by another one, too.
func within(want, have any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		for name, v := range w {
			if v != nil && !within(v, h[name]) {
				return false
			}
		}
		return ok
	case []any:
		h, ok := have.([]any)
		for i := range w {
			if ok = ok && len(h) == len(w) && within(w[i], h[i]); !ok {
				return false
			}
		}
		return ok
	}
	return fmt.Sprint(want) == fmt.Sprint(have)
}

// isAgentOf tells whether a DaemonSet of the manifest is the plugin's.
func isAgentOf(p *plugins.Plugin, o *unstructured.Unstructured) bool {
	labels, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
	return p.Makes(facts.Ref{Kind: "DaemonSet", Namespace: o.GetNamespace(), Name: o.GetName()}, labels)
}

// rangeInto writes the range of the cluster into the manifest.
func rangeInto(s *facts.Snapshot, plugin string, list []*unstructured.Unstructured, known podRange) error {
	if plugin == "calico" {
		return calicoRange(list, known)
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

// calicoRange tells Calico's agent the range of its first pool.
func calicoRange(list []*unstructured.Unstructured, known podRange) error {
	if len(known.ranges) > 1 || !known.ranges[0].Addr().Is4() {
		return fmt.Errorf("%s (%s) is not one range of IPv4: the manifest needs more than a range then; edit it by hand", known, known.from)
	}
	for _, o := range list {
		containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
		if o.GetKind() != "DaemonSet" || o.GetName() != "calico-node" || len(containers) == 0 {
			continue
		}
		c, _ := containers[0].(map[string]any)
		env, _, _ := unstructured.NestedSlice(c, "env")
		env = slices.DeleteFunc(env, func(e any) bool { m, _ := e.(map[string]any); return m["name"] == calicoPool })
		c["env"] = append(env, map[string]any{"name": calicoPool, "value": known.String()})
		return unstructured.SetNestedSlice(o.Object, containers, "spec", "template", "spec", "containers")
	}
	return errors.New("the manifest of Calico has no DaemonSet calico-node; that of its operator must be applied by hand")
}

// calicoPool is the variable from which calico-node makes its first IP pool.
const calicoPool = "CALICO_IPV4POOL_CIDR"
