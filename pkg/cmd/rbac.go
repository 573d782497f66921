package cmd

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
	"github.com/kubectl-netdoctor/netdoctor/pkg/probe"
)

func newRBAC(c *cluster) *cobra.Command {
	depthName := "logs"
	cmd := &cobra.Command{
		Use:   "rbac [CHECK|LAYER ...]",
		Short: "Print the least ClusterRole for looking",
		Long: `Print the least ClusterRole that a depth, or certain checks, take. Nothing in it allows a change, with two caveats: get on
nodes/proxy also reaches the kubelet's exec endpoint, and create on pods/portforward any port of any pod, as whoever
listens there would let anybody in. Leave such a rule out, or use --depth api, where that is too much: what kubelets say of
themselves, or what CoreDNS answers when it is asked, is then unknown, and everything else is looked at all the same.

The depths probe and host start pods. Their rights are a Role in the namespace ` + probe.Namespace + `, which is printed with it: made beforehand
by an administrator it stays, and nobody else needs the right to make namespaces, or pods in others. Whoever may make pods in
it at --depth host reads the nodes' files as root: give that Role to those alone who may.`,
		Example:           `  kubectl netdoctor rbac --depth logs | kubectl apply -f -`,
		ValidArgsFunction: completeChecks,
		RunE: func(_ *cobra.Command, args []string) error {
			depth, err := facts.ParseDepth(depthName)
			if err != nil {
				return usage("--depth %s: %w", depthName, err)
			}
			list, err := selected(args)
			if err != nil {
				return err
			}
			sources := slices.DeleteFunc(sourcesFor(list, len(args) == 0), func(s *facts.Source) bool { return s.Depth > depth })
			return c.printRoles("netdoctor-"+depth.String(), sources, depth)
		},
	}
	cmd.Flags().StringVar(&depthName, "depth", depthName, "api, logs, probe or host")
	_ = cmd.RegisterFlagCompletionFunc("depth", cobra.FixedCompletions([]string{"api", "logs", "probe", "host"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// printRoles prints what reading some sources takes, and, where pods read them, the
// namespace for the pods and what its users must be allowed in it.
func (c *cluster) printRoles(name string, sources []*facts.Source, depth facts.Depth) error {
	role := rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      gather.Rules(sources),
	}
	if !slices.ContainsFunc(sources, func(src *facts.Source) bool { return src == facts.Tries || src == facts.Files }) {
		return c.printObjects(role)
	}
	role.Rules = append(role.Rules, probe.NamespaceRules()...)
	return c.printObjects(role, probe.HomeFor(depth), probe.HomeAccount(), rbacv1.Role{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: probe.Namespace},
		Rules:      probe.HomeRules(),
	})
}

func (c *cluster) printObjects(objects ...any) error {
	for i, o := range objects {
		data, err := yaml.Marshal(o)
		if err != nil {
			return err
		}
		if i > 0 {
			data = append([]byte("---\n"), data...)
		}
		if _, err := fmt.Fprint(c.env.Out, string(data)); err != nil {
			return err
		}
	}
	return nil
}
