package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/cluster"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/faults"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/build"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/plane"
)

func (c command) build(ctx context.Context, args []string) error {
	flags := c.flags("build")
	whole := flags.Bool("cluster", false, "build what nodes are made of")
	if err := parseOnly(flags, args); err != nil {
		return err
	}
	if *whole {
		return c.buildCluster(ctx)
	}
	bin, err := build.Module{FS: module}.Plane(ctx, c.stderr)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, bin)
	return nil
}

func (c command) buildCluster(ctx context.Context) error {
	if missing := cluster.Requirements(); len(missing) > 0 {
		return fmt.Errorf("this machine cannot build a cluster: it lacks %s", strings.Join(missing, "; "))
	}
	if _, err := (build.Module{FS: module}).Plane(ctx, c.stderr); err != nil {
		return err
	}
	built, err := build.Module{FS: module}.Cluster(ctx, c.stderr)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, built)
	return nil
}

// up is two commands: the flag --state asks for a control plane that ends with
// the caller, and its absence for a cluster that stays.
func (c command) up(ctx context.Context, args []string) error {
	var serve plane.ServeOptions
	flags := c.flags("up")
	flags.StringVar(&serve.State, "state", "", "new or empty `directory` for kubeconfig, ca.crt, ca.key, data and logs of a control plane")
	flags.StringVar(&serve.Bin, "bin", "", "with --state: `directory` of the binaries (default: what lab build prints)")
	flags.BoolVar(&serve.NoControllers, "no-controllers", false, "with --state: do not run kube-controller-manager")
	flags.StringVar(&serve.Controllers, "controllers", plane.DefaultControllers(),
		"with --state: comma-separated `list` of controllers to run")
	flags.Func("apiserver-arg", "with --state: one more `argument` for kube-apiserver; may be repeated", func(arg string) error {
		serve.APIServerArgs = append(serve.APIServerArgs, arg)
		return nil
	})
	opts := c.options(flags)
	flags.IntVar(&opts.Nodes, "nodes", 2, "how many nodes a new cluster has")
	if err := parseOnly(flags, args); err != nil {
		return err
	}
	if err := onlyOneKind(flags, serve.State != ""); err != nil {
		fmt.Fprintln(c.stderr, "lab up:", err)
		return errUsage
	}
	if serve.State != "" {
		return c.serve(ctx, serve)
	}
	running, err := cluster.Up(ctx, *opts)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, "ready", running.Kubeconfig())
	return nil
}

// onlyOneKind rejects flags of the other kind of lab.
func onlyOneKind(flags *flag.FlagSet, planeOnly bool) error {
	var err error
	flags.Visit(func(f *flag.Flag) {
		forCluster := f.Name == "nodes" || f.Name == "name"
		switch {
		case planeOnly && forCluster:
			err = fmt.Errorf("--%s and --state exclude each other", f.Name)
		case !planeOnly && !forCluster && f.Name != "state":
			err = fmt.Errorf("--%s needs --state", f.Name)
		case !planeOnly && f.Name == "state":
			err = fmt.Errorf("--state is empty")
		}
	})
	return err
}

func (c command) serve(ctx context.Context, opts plane.ServeOptions) error {
	if opts.Bin == "" {
		bin, err := build.Module{FS: module}.Plane(ctx, c.stderr)
		if err != nil {
			return err
		}
		opts.Bin = bin
	}
	return plane.Serve(untilEOF(ctx, c.stdin), opts, c.stdout)
}

// options adds the flags that every command about clusters has.
func (c command) options(flags *flag.FlagSet) *cluster.Options {
	opts := &cluster.Options{Module: module, Progress: c.stderr}
	flags.StringVar(&opts.Name, "name", "nd", "`name` of the cluster")
	return opts
}

// open parses flags and returns the running cluster with the other arguments.
func (c command) open(name string, args []string) (*cluster.Cluster, []string, error) {
	flags := c.flags(name)
	opts := c.options(flags)
	if err := parse(flags, args); err != nil {
		return nil, nil, err
	}
	running, err := cluster.Open(*opts)
	return running, flags.Args(), err
}

func (c command) status(ctx context.Context, args []string) error {
	running, _, err := c.open("status", args)
	if err != nil {
		return err
	}
	status, err := running.Status(ctx)
	fmt.Fprint(c.stdout, status)
	return err
}

func (c command) exec(ctx context.Context, args []string) error {
	running, args, err := c.open("exec", args)
	if err != nil {
		return err
	}
	if len(args) > 1 && args[1] == "--" {
		args = append(args[:1:1], args[2:]...)
	}
	if len(args) < 2 {
		fmt.Fprintln(c.stderr, "lab exec: a node and a command are expected")
		return errUsage
	}
	cmd, err := running.ExecCommand(ctx, args[0], args[1:]...)
	if err != nil {
		return err
	}
	return c.attach(cmd)
}

// kubectl keeps its hands off kubectl's own flags: only a leading --name is the
// lab's.
func (c command) kubectl(ctx context.Context, args []string) error {
	own, rest := args[:0:0], args
	if len(args) > 0 {
		switch flag := strings.TrimPrefix(args[0], "-"); {
		case flag == "-name" && len(args) > 1:
			own, rest = args[:2], args[2:]
		case strings.HasPrefix(flag, "-name="):
			own, rest = args[:1], args[1:]
		}
	}
	running, _, err := c.open("kubectl", own)
	if err != nil {
		return err
	}
	return c.attach(running.Command(ctx, "kubectl", rest...))
}

func (c command) run(ctx context.Context, args []string) error {
	running, args, err := c.open("run", args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		fmt.Fprintln(c.stderr, "lab run: a command is expected")
		return errUsage
	}
	return c.attach(running.Command(ctx, args[0], args[1:]...))
}

// image has one thing to do with images so far.
func (c command) image(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] != "load" {
		fmt.Fprintln(c.stderr, "lab image: load is expected")
		return errUsage
	}
	flags := c.flags("image load")
	opts := c.options(flags)
	if err := parse(flags, args[1:]); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		fmt.Fprintln(c.stderr, "lab image load: an archive is expected")
		return errUsage
	}
	running, err := cluster.Open(*opts)
	if err != nil {
		return err
	}
	return running.LoadImage(ctx, flags.Arg(0))
}

func (c command) breakFault(ctx context.Context, args []string) error {
	return c.onFault("break", args, func(f *faults.Fault, l faults.Lab) error {
		if f.Impossible != "" {
			return fmt.Errorf("%s cannot be made in a lab: %s", f.ID, f.Impossible)
		}
		return f.Break(ctx, l)
	})
}

func (c command) mendFault(ctx context.Context, args []string) error {
	return c.onFault("mend", args, func(f *faults.Fault, l faults.Lab) error {
		if f.Impossible != "" {
			return nil // it was never made
		}
		return f.Mend(ctx, l)
	})
}

// onFault does something to the fault that args name.
func (c command) onFault(name string, args []string, do func(*faults.Fault, faults.Lab) error) error {
	flags := c.flags(name)
	opts := c.options(flags)
	if err := parse(flags, args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		for _, f := range faults.All() {
			fmt.Fprintf(c.stdout, "%-28s %s\n", f.ID, f.Title)
		}
		return nil
	}
	fault, found := faults.Named(flags.Arg(0))
	if !found || flags.NArg() > 1 {
		fmt.Fprintf(c.stderr, "lab %s: there is no fault %q; without a name it lists all\n", name, strings.Join(flags.Args(), " "))
		return errUsage
	}
	running, err := cluster.Open(*opts)
	if err != nil {
		return err
	}
	return do(fault, running)
}

func (c command) down(ctx context.Context, args []string) error {
	flags := c.flags("down")
	opts := c.options(flags)
	if err := parseOnly(flags, args); err != nil {
		return err
	}
	return cluster.Down(ctx, *opts)
}
