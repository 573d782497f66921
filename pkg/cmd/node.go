package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/probe"
)

// nodeTime is how long a pod's program may take: less than its pod may live, so that what
// it found by then is printed.
const nodeTime = 40 * time.Second

// newNode is what the pods of check --depth probe and host run. People have no use for it.
func newNode(c *cluster) *cobra.Command {
	cmd := &cobra.Command{
		Use: "node host|serve|try|change", Short: "What the pods of --depth probe and host, and of repairs of nodes, run", Hidden: true,
		Args: cobra.ExactArgs(1), ValidArgs: []string{"host", "serve", "try", "change"},
		RunE: func(cmd *cobra.Command, args []string) error {
			node := c.env.Getenv(probe.NodeVariable)
			switch args[0] {
			case "host":
				ctx, cancel := context.WithTimeout(cmd.Context(), nodeTime)
				defer cancel()
				resolvConfs := strings.FieldsFunc(c.env.Getenv(probe.ResolvConfVariable), func(r rune) bool { return r == ',' })
				return agent.Host(ctx, agent.HostOptions{Root: probe.Mounted, Node: node, Proc: "/proc", ResolvConf: resolvConfs}).Write(c.env.Out)
			case "try":
				return c.tryPlan(cmd.Context(), node)
			case "serve":
				return c.serve(cmd.Context(), node)
			case "change":
				return c.changeNode(cmd.Context(), node)
			}
			return usage("%q: must be host, serve, try or change", args[0])
		},
	}
	return cmd
}

func (c *cluster) changeNode(ctx context.Context, node string) error {
	change, err := agent.ParseChange(c.env.Getenv(agent.ChangeVariable))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, nodeTime)
	defer cancel()
	changed := &agent.Changed{Refused: "its pod was placed on " + node}
	if node == change.Setting.Node {
		changed = agent.ChangeNode(ctx, probe.Mounted, change)
	}
	result := &agent.Result{Version: agent.ResultVersion, Node: node, Changed: changed}
	return result.Write(c.env.Out)
}

// serve answers other pods until it is ended, and prints what came of its own Service, where it
// has one, as soon as that is known.
func (c *cluster) serve(ctx context.Context, node string) error {
	var failed error
	var trying sync.WaitGroup
	if c.env.Getenv(agent.PlanVariable) != "" {
		trying.Go(func() { failed = c.tryOwn(ctx, node) })
	}
	err := agent.Serve(ctx)
	trying.Wait()
	return errors.Join(err, failed)
}

func (c *cluster) tryOwn(ctx context.Context, node string) error {
	plan, err := agent.ParsePlan(c.env.Getenv(agent.PlanVariable))
	if err != nil {
		return err
	}
	if len(plan.Targets) != 1 {
		return errors.New(agent.PlanVariable + " names no Service of its own")
	}
	own, err := agent.TryOwn(ctx, node, plan.Targets[0])
	if err != nil {
		return err
	}
	return (&agent.Result{Version: agent.ResultVersion, Node: node, Tries: []facts.Try{own}}).Write(c.env.Out)
}

func (c *cluster) tryPlan(ctx context.Context, node string) error {
	plan, err := agent.ParsePlan(c.env.Getenv(agent.PlanVariable))
	if err != nil {
		return err
	}
	if len(plan.Targets) == 0 {
		return errors.New(agent.PlanVariable + " names nothing to try")
	}
	ctx, cancel := context.WithTimeout(ctx, nodeTime)
	defer cancel()
	result := &agent.Result{Version: agent.ResultVersion, Node: node, Tries: agent.Try(ctx, node, plan)}
	if err := result.Write(c.env.Out); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	return nil
}
