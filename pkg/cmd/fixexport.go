package cmd

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
	"github.com/kubectl-netdoctor/netdoctor/pkg/probe"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// fixOutputs are the values of -o.
var fixOutputs = []string{"diff", "yaml", "patch", "kustomize", "rbac"}

// export prints plans for another way to apply them.
func (o *fixCommand) export(look apply.Look, plans []fixes.Plan) error {
	switch o.output {
	case "kustomize":
		return o.exportKustomize(plans)
	case "rbac":
		return o.exportRights(look, plans)
	}
	for _, plan := range plans {
		for _, c := range plan.Changes {
			if err := o.exportChange(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *fixCommand) exportChange(c fixes.Change) error {
	switch {
	case o.output == "yaml" && c.After == nil:
		fmt.Fprintf(o.env.Out, "# %s goes: kubectl delete %s\n", report.Clean(c.Ref().String()), objectWords(c))
		return nil
	case o.output == "yaml":
		return o.document(apply.Bare(c.After).Object)
	case c.Before == nil:
		fmt.Fprintf(o.env.Out, "# %s is new: -o yaml has it\n", report.Clean(c.Ref().String()))
		return nil
	case c.After == nil:
		fmt.Fprintf(o.env.Out, "# kubectl delete %s\n", objectWords(c))
		return nil
	}
	ops, err := apply.Patch(c)
	if err != nil {
		return err
	}
	data, err := json.Marshal(ops)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.env.Out, "# kubectl patch %s --type=json --patch-file=FILE\n%s\n", objectWords(c), report.EscapeJSON(data))
	return nil
}

// objectWords names an object as kubectl takes it, in words that a shell leaves alone.
func objectWords(c fixes.Change) string {
	r := c.Ref()
	words := strings.ToLower(r.Kind) + " " + checks.ShellWord(r.Name)
	if r.Namespace != "" {
		words += " -n " + checks.ShellWord(r.Namespace)
	}
	return report.Clean(words)
}

// document prints one YAML document. The YAML library refuses control characters that
// JSON may hold unescaped.
func (o *fixCommand) document(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if data, err = yaml.JSONToYAML(report.EscapeJSON(data)); err != nil {
		return err
	}
	fmt.Fprintf(o.env.Out, "---\n%s", data)
	return nil
}

// exportKustomize prints a Kustomization with the patches in it, and below it, as a
// document of its own, each object that is new.
func (o *fixCommand) exportKustomize(plans []fixes.Plan) error {
	var patches, resources []any
	var created []map[string]any
	for _, plan := range plans {
		for _, c := range plan.Changes {
			gvk, r := c.Object().GroupVersionKind(), c.Ref()
			if c.Before == nil {
				resources = append(resources, strings.ToLower(r.Kind)+"-"+r.Name+".yaml")
				created = append(created, apply.Bare(c.After).Object)
				continue
			}
			target := map[string]any{"version": gvk.Version, "kind": r.Kind, "name": r.Name}
			if gvk.Group != "" {
				target["group"] = gvk.Group
			}
			metadata := map[string]any{"name": r.Name}
			if r.Namespace != "" {
				target["namespace"], metadata["namespace"] = r.Namespace, r.Namespace
			}
			var patch any = map[string]any{"$patch": "delete", "apiVersion": c.Object().GetAPIVersion(), "kind": r.Kind, "metadata": metadata}
			if c.After != nil {
				ops, err := apply.Patch(c)
				if err != nil {
					return err
				}
				// What the repository holds need not be what the cluster does: only the values count.
				patch = slices.DeleteFunc(ops, func(op apply.Operation) bool { return op.Op == "test" })
			}
			data, err := json.Marshal(patch)
			if err != nil {
				return err
			}
			text, err := yaml.JSONToYAML(report.EscapeJSON(data))
			if err != nil {
				return err
			}
			patches = append(patches, map[string]any{"target": target, "patch": string(text)})
		}
	}
	kustomization := map[string]any{"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
	if len(patches) > 0 {
		kustomization["patches"] = patches
	}
	if len(resources) > 0 {
		kustomization["resources"] = resources
	}
	if err := o.document(kustomization); err != nil {
		return err
	}
	for i, object := range created {
		fmt.Fprintf(o.env.Out, "# %s\n", report.Clean(fmt.Sprint(resources[i])))
		if err := o.document(object); err != nil {
			return err
		}
	}
	return nil
}

// exportRights prints the least rights that the plans take, looking included.
func (o *fixCommand) exportRights(look apply.Look, plans []fixes.Plan) error {
	var mapper meta.RESTMapper
	if o.from == "" {
		e, err := o.engine()
		if err != nil {
			return err
		}
		mapper = e.Mapper
	}
	var rights, journal []apply.Right
	name := "netdoctor-fix"
	for _, plan := range plans {
		more, err := apply.Rights(plan, mapper, outside(look, plan))
		if err != nil {
			return err
		}
		for _, r := range more {
			if r.Journal {
				journal = append(journal, r)
			} else {
				rights = append(rights, r)
			}
		}
		if id := "-" + plan.Finding.Check.ID; !strings.HasSuffix(name, id) {
			name += id
		}
	}
	depth, err := facts.ParseDepth(o.depth)
	if err != nil {
		return usage("--depth %s: %w", o.depth, err)
	}
	if slices.ContainsFunc(plans, func(p fixes.Plan) bool { return p.Fix.OnNodes }) {
		depth = max(depth, facts.Host) // pods read and write the nodes, as those do that look
	}
	looking := slices.DeleteFunc(sourcesFor(all.Checks(), false), func(s *facts.Source) bool { return s.Depth > depth })
	rules := apply.RulesIn(rights)
	rules[""] = append(gather.Rules(looking), rules[""]...)
	if depth >= facts.Probe {
		rules[""] = append(rules[""], probe.NamespaceRules()...)
		rules[probe.Namespace] = append(rules[probe.Namespace], probe.HomeRules()...)
		for _, object := range []any{probe.HomeFor(depth), probe.HomeAccount()} {
			if err := o.document(object); err != nil {
				return err
			}
		}
	}
	if err := o.printRules(name, rules); err != nil {
		return err
	}
	fmt.Fprint(o.env.Out, "# Only for a journal in the cluster, which others see, too: it allows a change of every ConfigMap of kube-system, since\n"+
		"# RBAC cannot name what is yet to be made. Leave it out, and the journal is a file of yours.\n")
	return o.printRules(name+"-journal", apply.RulesIn(journal))
}

// printRules prints a ClusterRole for what is in no namespace and a Role for each namespace.
func (o *fixCommand) printRules(name string, rules map[string][]rbacv1.PolicyRule) error {
	for _, namespace := range slices.Sorted(maps.Keys(rules)) {
		var role any = rbacv1.Role{
			TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"},
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Rules: rules[namespace],
		}
		if namespace == "" {
			role = rbacv1.ClusterRole{
				TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"},
				ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules[namespace],
			}
		}
		if err := o.document(role); err != nil {
			return err
		}
	}
	return nil
}

// asRules writes rights as the rules that grant them, for an error.
func asRules(rights []apply.Right) string {
	var out []string
	rules := apply.RulesIn(rights)
	for _, namespace := range slices.Sorted(maps.Keys(rules)) {
		for _, r := range rules[namespace] {
			text := fmt.Sprintf("apiGroups: [%q], resources: [%q]", r.APIGroups[0], r.Resources[0])
			if len(r.ResourceNames) > 0 {
				text += fmt.Sprintf(", resourceNames: [%s]", strings.Join(r.ResourceNames, ", "))
			}
			text += fmt.Sprintf(", verbs: [%s]", strings.Join(r.Verbs, ", "))
			if namespace != "" {
				text += " in namespace " + namespace
			}
			out = append(out, "{"+text+"}")
		}
	}
	return strings.Join(out, "; ")
}
