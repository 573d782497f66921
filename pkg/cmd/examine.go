package cmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// examination says how to look at a cluster; check and fix share its flags.
type examination struct {
	*cluster
	from  string
	depth string
	reading

	captured facts.Depth // how deep the bundle goes that was looked at
}

func (e *examination) addFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&e.from, "from", "", "look at a saved bundle instead of a cluster: a directory or .tar.gz of capture, or the directory of kubectl cluster-info dump")
	e.depth = facts.Logs.String()
	addDepth(cmd, &e.depth)
	e.reading.addFlags(fs)
}

// again returns the flags by which the same cluster, or bundle, is looked at the same way but
// for the depth, as words that a shell leaves alone.
func (e *examination) again() []string {
	var words []string
	for _, flag := range [][2]string{{"--from", e.from}, {"--context", *e.flags.Context}, {"--namespace", e.namespace()}, {"--image-pull-secret", e.pullSecret}} {
		if flag[1] != "" {
			words = append(words, flag[0], checks.ShellWord(flag[1]))
		}
	}
	if len(e.nodes) > 0 {
		words = append(words, "--nodes", checks.ShellWord(strings.Join(e.nodes, ",")))
	}
	if e.image != "" && e.image != podImage() {
		words = append(words, "--image", checks.ShellWord(e.image))
	}
	return words
}

// addDepth adds --depth, whose default is what it points to.
func addDepth(cmd *cobra.Command, depth *string) {
	cmd.Flags().StringVar(depth, "depth", *depth, "how deep to look: api (objects only), logs (also container logs, kubelet configuration and pods' own endpoints), "+
		"probe (also pods that try traffic), host (also a pod on each node that reads its files and kernel); pods live for two and a half minutes at most, see docs/depths.md")
	_ = cmd.RegisterFlagCompletionFunc("depth", cobra.FixedCompletions([]string{"api", "logs", "probe", "host"}, cobra.ShellCompDirectiveNoFileComp))
}

// look reads the facts and answers the checks' questions.
func (e *examination) look(ctx context.Context, cmd *cobra.Command, list []*checks.Check) (apply.Look, error) {
	depth, err := facts.ParseDepth(e.depth)
	if err != nil {
		return apply.Look{}, usage("--depth %s: %w", e.depth, err)
	}
	if err := e.valid(); err != nil {
		return apply.Look{}, err
	}
	var s *facts.Snapshot
	if e.from != "" {
		s, err = facts.Load(e.from)
		if err == nil {
			e.captured = s.Depth
		}
		if err == nil && cmd.Flags().Changed("depth") {
			s = s.UpTo(depth)
		}
	} else {
		s, err = e.live(ctx, list, depth, e.reading, nil)
	}
	if err != nil {
		return apply.Look{}, err
	}
	begin := time.Now()
	look := apply.Look{Snapshot: s, Results: checks.Run(s, list)}
	if e.verbose > 0 {
		fmt.Fprintf(e.env.ErrOut, "%d checks took %.2f s\n", len(list), time.Since(begin).Seconds())
	}
	return look, nil
}

// roots names the root causes of a look.
func roots(l apply.Look) []*cause.Node { return cause.Roots(l.Snapshot, l.Results) }
