package cmd

import (
	"strings"

	"github.com/spf13/cobra"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubectl/pkg/util/completion"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// noFiles keeps the shell from offering file names.
const noFiles = cobra.ShellCompDirectiveNoFileComp

func completeChecks(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, l := range all.Layers() {
		out = append(out, l.Name+"\t"+l.Title)
		for _, c := range l.Checks {
			out = append(out, c.ID+"\t"+c.Title)
		}
	}
	return matching(out, args, toComplete), noFiles
}

func completeFixable(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	var out []string
	for _, c := range all.Checks() {
		if len(fixes.For(c)) > 0 {
			out = append(out, c.ID+"\t"+c.Title)
		}
	}
	return matching(out, nil, toComplete), noFiles
}

func completeFixes(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, f := range fixes.All() {
		out = append(out, f.ID+"\t"+f.Title)
	}
	return matching(out, nil, toComplete), noFiles
}

func completeExplain(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	out, _ := completeChecks(cmd, nil, toComplete)
	more, _ := completeFixes(cmd, nil, toComplete)
	return append(out, more...), noFiles
}

// matching keeps what begins as the word to complete does and was not given yet.
func matching(candidates, given []string, toComplete string) []string {
	var out []string
	for _, c := range candidates {
		word, _, _ := strings.Cut(c, "\t")
		taken := false
		for _, g := range given {
			taken = taken || g == word
		}
		if !taken && strings.HasPrefix(word, toComplete) {
			out = append(out, c)
		}
	}
	return out
}

// completeFlags completes kubectl's own flags as kubectl does: from the kubeconfig and
// from the cluster.
func (c *cluster) completeFlags(root *cobra.Command) {
	factory := cmdutil.NewFactory(cmdutil.NewMatchVersionFlags(c.flags))
	completion.SetFactoryForCompletion(factory)
	register := func(flag string, complete func(toComplete string) []string) {
		_ = root.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			return complete(toComplete), noFiles
		})
	}
	register("namespace", func(s string) []string { return completion.CompGetResource(factory, "namespace", s) })
	register("context", completion.ListContextsInConfig)
	register("cluster", completion.ListClustersInConfig)
	register("user", completion.ListUsersInConfig)
}

// completeIgnore completes CHECK, and the nodes of the cluster behind CHECK=Node/.
func (c *cluster) completeIgnore(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	before, name, found := strings.Cut(toComplete, "=Node/")
	if !found {
		out, _ := completeChecks(cmd, nil, toComplete)
		return out, noFiles | cobra.ShellCompDirectiveNoSpace
	}
	var out []string
	for _, node := range completion.CompGetResource(cmdutil.NewFactory(c.flags), "node", name) {
		out = append(out, before+"=Node/"+node)
	}
	return out, noFiles
}
