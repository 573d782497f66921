// Command lab runs real Kubernetes for tests, built from the module versions in
// go.mod: a control plane alone, on 127.0.0.1 and without privileges, or whole
// clusters with nodes, which need root. Both run on Linux and, once built,
// without a network.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// The module is embedded so that a built lab works from any directory.
//
//go:embed go.mod go.sum cmd
var module embed.FS

const usage = `usage: lab COMMAND

A control plane without nodes:
  lab build                    build its binaries if need be and print their directory
  lab up --state DIR [--bin DIR] [--no-controllers] [--controllers LIST] [--apiserver-arg ARG]...
                               run it until stdin closes or SIGINT or SIGTERM arrives

A cluster with nodes, which stays until it is told to go:
  lab build --cluster          build what it needs beside that and print the directory
  lab up [--nodes N]           start it, unless it runs, and return when it is ready
  lab status                   show what runs
  lab exec NODE -- COMMAND...  run a command on a node (node1 ...) or beside the control plane (cp)
  lab kubectl ARG...           run kubectl as administrator
  lab run -- COMMAND...        run a program of this machine where the cluster can be reached
  lab image load FILE          give the images of an archive to every node
  lab break FAULT              break it; without a name: list the faults
  lab mend FAULT               undo that by hand
  lab down                     end it and remove all of it

With --name NAME before the arguments of these, there can be more than one on a machine.
`

// errUsage says that the command line was wrong and that this has been reported.
var errUsage = errors.New("wrong usage")

// Exit codes of the command. A program that it runs for its user has the last
// word.
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
	var program *programError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		os.Exit(exitOK)
	case errors.Is(err, errUsage):
		os.Exit(exitUsage)
	case errors.As(err, &program):
		os.Exit(program.code)
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
	c := command{stdin: stdin, stdout: stdout, stderr: stderr}
	commands := map[string]func(context.Context, []string) error{
		"build":   c.build,
		"up":      c.up,
		"status":  c.status,
		"exec":    c.exec,
		"kubectl": c.kubectl,
		"run":     c.run,
		"image":   c.image,
		"break":   c.breakFault,
		"mend":    c.mendFault,
		"down":    c.down,
	}
	if do, found := commands[args[0]]; found {
		return do(ctx, args[1:])
	}
	switch args[0] {
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage)
		return nil
	}
	fmt.Fprintf(stderr, "lab: unknown command %q\n%s", args[0], usage)
	return errUsage
}

// command is one call of the lab's command.
type command struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

func (c command) flags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet("lab "+name, flag.ContinueOnError)
	flags.SetOutput(c.stderr)
	return flags
}

// parse reads flags and leaves the rest to the caller.
func parse(flags *flag.FlagSet, args []string) error {
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage // the flag set has printed the reason
	}
	return nil
}

// parseOnly rejects positional arguments.
func parseOnly(flags *flag.FlagSet, args []string) error {
	if err := parse(flags, args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(flags.Output(), "%s: unexpected argument %q\n", flags.Name(), flags.Arg(0))
		return errUsage
	}
	return nil
}

// programError is the exit status of a program that was run for the user, who
// has seen what it said.
type programError struct{ code int }

func (e *programError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// attach runs a program with the command's own input and output.
func (c command) attach(cmd *exec.Cmd) error {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.stdin, c.stdout, c.stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return &programError{exit.ExitCode()}
	}
	return err
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
