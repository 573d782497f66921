package cmd

import (
	"strings"

	"github.com/spf13/cobra"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubectl/pkg/util/completion"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
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

// completePlugins completes the plugins that somebody installs by hand, under all their names.
func completePlugins(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, p := range plugins.All() {
		if p.Kind != plugins.Primary || p.Install.Command == "" {
			continue
		}
		for _, id := range append([]string{p.ID}, p.Aliases...) {
			out = append(out, id+"\t"+p.Name)
		}
	}
	return out, noFiles
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
	register := func(flag string, complete func(f cmdutil.Factory, toComplete string) []string) {
		_ = root.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			return complete(c.factory(), toComplete), noFiles
		})
	}
	register("namespace", func(f cmdutil.Factory, s string) []string { return completion.CompGetResource(f, "namespace", s) })
	register("context", func(_ cmdutil.Factory, s string) []string { return completion.ListContextsInConfig(s) })
	register("cluster", func(_ cmdutil.Factory, s string) []string { return completion.ListClustersInConfig(s) })
	register("user", func(_ cmdutil.Factory, s string) []string { return completion.ListUsersInConfig(s) })
}

// factory returns kubectl's factory, also for those of its completions that find it in
// a variable of their package.
func (c *cluster) factory() cmdutil.Factory {
	f := cmdutil.NewFactory(cmdutil.NewMatchVersionFlags(c.flags))
	completion.SetFactoryForCompletion(f)
	return f
}

// completeIgnore completes CHECK, and the nodes of the cluster behind CHECK=Node/.
func (c *cluster) completeIgnore(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	before, name, found := strings.Cut(toComplete, "=Node/")
	if !found {
		out, _ := completeChecks(cmd, nil, toComplete)
		return out, noFiles | cobra.ShellCompDirectiveNoSpace
	}
	var out []string
	for _, node := range completion.CompGetResource(c.factory(), "node", name) {
		out = append(out, before+"=Node/"+node)
	}
	return out, noFiles
}
