// Command lab runs a real Kubernetes control plane for tests: etcd,
// kube-apiserver and kube-controller-manager, built from the module versions in
// go.mod and listening on 127.0.0.1 only. There are no nodes; tests create
// Node objects and whatever else they need.
//
// It runs on Linux, needs no privileges and, once built, no network.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

const usage = `usage:
  lab build
        build the binaries if need be and print their directory
  lab up --state DIR [--bin DIR] [--no-controllers] [--controllers LIST] [--apiserver-arg ARG]...
        run a control plane until stdin closes or SIGINT or SIGTERM arrives
`

// errUsage says that the command line was wrong and that this has been reported.
var errUsage = errors.New("wrong usage")

// Exit codes of the command.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	// Children are killed by the kernel when the thread that started them
	// ends, so the goroutine that starts them must keep the one it has.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		os.Exit(exitOK)
	case errors.Is(err, errUsage):
		os.Exit(exitUsage)
	default:
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(exitFailed)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return errUsage
	}
	switch args[0] {
	case "build":
		return runBuild(ctx, args[1:], stdout, stderr)
	case "up":
		return runUp(ctx, args[1:], stdin, stdout, stderr)
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage)
		return nil
	default:
		fmt.Fprintf(stderr, "lab: unknown command %q\n%s", args[0], usage)
		return errUsage
	}
}

func runBuild(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("lab build", flag.ContinueOnError)
	flags.SetOutput(stderr)
	if err := parse(flags, args); err != nil {
		return err
	}
	bin, err := ensureBinaries(ctx, stderr)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, bin)
	return nil
}

func runUp(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	var opts upOptions
	flags := flag.NewFlagSet("lab up", flag.ContinueOnError)
	flags.SetOutput(stderr)
	opts.register(flags)
	if err := parse(flags, args); err != nil {
		return err
	}
	if opts.state == "" {
		fmt.Fprintln(stderr, "lab up: --state is required")
		return errUsage
	}
	if opts.bin == "" {
		bin, err := ensureBinaries(ctx, stderr)
		if err != nil {
			return err
		}
		opts.bin = bin
	}
	return up(untilEOF(ctx, stdin), opts, stdout)
}

// parse rejects positional arguments, which neither command takes.
func parse(flags *flag.FlagSet, args []string) error {
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage // the flag set has printed the reason
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(flags.Output(), "%s: unexpected argument %q\n", flags.Name(), flags.Arg(0))
		return errUsage
	}
	return nil
}

// untilEOF derives a context that ends when r is exhausted. Tying the lab to
// its stdin makes it end with the test that started it, however that one ends.
func untilEOF(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, r) // a broken stdin counts as a closed one
		cancel(errors.New("stdin was closed"))
	}()
	return ctx
}
