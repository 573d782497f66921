package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	"k8s.io/kubectl/pkg/util/templates"

	// Every authentication plugin that kubectl has.
	_ "k8s.io/client-go/plugin/pkg/client/auth"

	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// The exit codes, the same for every command.
const (
	exitOK       = 0 // nothing found, and every question was answered
	exitFindings = 1
	exitError    = 2 // the tool failed or was misused
	exitUnknown  = 3 // nothing found, but some answers are unknown
)

// exit is an error that carries its own exit code. A nil err says nothing more.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// Main runs one command line and returns its exit code. An interrupt ends it at the
// next safe point.
func Main(args []string, env Env) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends the process as usual
	return Run(ctx, args, env)
}

// Run is Main with a context of the caller's.
func Run(ctx context.Context, args []string, env Env) int {
	klog.LogToStderr(false) // what client-go has to say is no part of an answer
	klog.SetOutput(io.Discard)
	root := newRoot(env)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitError
	var e *exit
	if errors.As(err, &e) {
		code = e.code
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(env.ErrOut, "error: "+report.Clean(text))
	}
	return code
}

func newRoot(env Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "netdoctor",
		Short: "Find out why a cluster's network does not work, and repair it",
		Long: `Find out why the network of a Kubernetes cluster does not work: the root cause first, with its
evidence, the symptoms folded below it. Repair it on request: shown first, verified after, undone at any time.

Nothing is changed, and no pod is started, unless you ask for it.`,
		Example: `  kubectl netdoctor check
  kubectl netdoctor fix coredns-loop --dry-run
  kubectl netdoctor explain coredns-loop`,
		SilenceErrors: true, SilenceUsage: true,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl netdoctor"},
		Args:        cobra.NoArgs,
		RunE:        func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.ErrOut)
	c := newCluster(env)
	c.addFlags(root.PersistentFlags())
	root.AddCommand(newCheck(c), newFix(c), newUndo(c), newHistory(c), newExplain(c), newCapture(c), newRBAC(c), newPlugins(c), newVersion(c),
		newCleanup(c), newNode(c))
	root.AddCommand(templatesOptions(root, env))
	c.completeFlags(root)
	return root
}

// templatesOptions keeps kubectl's own flags out of each command's help and lists them
// under "options", as kubectl does.
func templatesOptions(root *cobra.Command, env Env) *cobra.Command {
	options := &cobra.Command{
		Use: "options", Short: "List the flags that every command takes", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) { _ = cmd.Usage() },
	}
	templates.ActsAsRootCommand(root, nil)
	root.SetUsageFunc(asPlugin(root.UsageFunc()))
	templates.UseOptionsTemplates(options)
	options.SetOut(env.Out)
	return options
}

// asPlugin mends kubectl's template, which in one place spells the way to a command by
// bare names.
func asPlugin(usage func(*cobra.Command) error) func(*cobra.Command) error {
	return func(c *cobra.Command) error {
		var text strings.Builder
		out := c.OutOrStderr()
		c.SetOut(&text)
		err := usage(c)
		c.SetOut(out)
		_, failed := io.WriteString(out, strings.Replace(text.String(), `Use "netdoctor `, `Use "kubectl netdoctor `, 1))
		return errors.Join(err, failed)
	}
}

// usage is an error of the command line.
func usage(format string, args ...any) error {
	return &exit{exitError, fmt.Errorf(format, args...)}
}
