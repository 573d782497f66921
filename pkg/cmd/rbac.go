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
)

func newRBAC(c *cluster) *cobra.Command {
	depthName := "logs"
	cmd := &cobra.Command{
		Use:   "rbac [CHECK|LAYER ...]",
		Short: "Print the least ClusterRole for looking",
		Long: `Print the least ClusterRole that a depth, or certain checks, take. Nothing in it allows a change, with one caveat: get on
nodes/proxy also reaches the kubelet's exec endpoint. Leave that rule out, or use --depth api, where that is too much; the
checks that ask kubelets are then unknown.`,
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
			return c.printRole("netdoctor-"+depth.String(), sources)
		},
	}
	cmd.Flags().StringVar(&depthName, "depth", depthName, "api or logs")
	_ = cmd.RegisterFlagCompletionFunc("depth", cobra.FixedCompletions([]string{"api", "logs"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (c *cluster) printRole(name string, sources []*facts.Source) error {
	role := rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      gather.Rules(sources),
	}
	data, err := yaml.Marshal(role)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(c.env.Out, string(data))
	return err
}
