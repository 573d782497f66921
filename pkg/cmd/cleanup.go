package cmd

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/probe"
)

func newCleanup(c *cluster) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "cleanup",
		Short: "Remove what a look with pods has left behind",
		Long: `Remove what check --depth probe or host made and could not remove, because it was killed or lost the cluster: the namespace
` + probe.Namespace + ` with everything in it. Where an administrator has made that namespace it stays, and jobs and copies of pull secrets in it
go. Pods have ended by themselves by then. Repairs and their journal are not touched.`,
		Example: `  kubectl netdoctor cleanup`,
		Args:    cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := c.config()
			if err != nil {
				return err
			}
			config.Timeout = eachWrite
			left, err := probe.Leftovers(cmd.Context(), config)
			if err != nil {
				return c.unreachable(config, err)
			}
			if left == nil {
				fmt.Fprintln(c.env.Out, "Nothing is left behind.")
				return nil
			}
			fmt.Fprintf(c.env.Out, "Namespace %s, made at %s, holds %d jobs with %d pods that run, %d Services, and %d copies of pull secrets.\n",
				probe.Namespace, left.Since.UTC().Format(time.RFC3339), len(left.Jobs), left.Pods, len(left.Services), len(left.Secrets))
			if left.Pods > 0 {
				fmt.Fprintln(c.env.Out, "Another look may be under way; its pods end within "+probe.Longest.String()+".")
			}
			question := "Remove the namespace with all that is in it?"
			if left.Kept {
				question = "Remove these? The namespace stays."
			}
			if !yes && !c.env.AskIn {
				return usage("there is no terminal to ask on; -y removes it without a question")
			}
			if err := c.ask(cmd.Context(), question, yes); err != nil {
				return err
			}
			if err := probe.Cleanup(cmd.Context(), config, left); err != nil {
				return fmt.Errorf("removing it: %w", err)
			}
			fmt.Fprintln(c.env.Out, "Removed.")
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
