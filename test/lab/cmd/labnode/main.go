// Command labnode makes a node of the lab: a set of namespaces and cgroups with
// a root filesystem of its own, in which it is PID 1.
//
//	labnode boot -name NODE -root DIR -cgroups FILE -bin DIR -images DIR
//	labnode enter -pid PID -cgroups FILE -- COMMAND...
//
// Boot starts the node and prints the PID of its PID 1 once its filesystem is
// complete. The network namespace is the caller's. Enter runs a command on a
// node. Both join the cgroups that FILE lists first, so that the node's cgroup
// namespace, and every command's place in it, begin there.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// failed is the exit status for errors of labnode itself, as of other programs
// that run a program.
const failed = 125

// spec is what boot is told about a node.
type spec struct {
	name    string
	root    string // becomes "/"; its sibling directory "usr" takes what is written to /usr
	cgroups string // file of cgroup directories, one a line
	bin     string // shows as /lab/bin
	images  string // shows as /lab/images
}

func main() {
	err := run(os.Args[1:])
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		os.Exit(exit.ExitCode())
	default:
		fmt.Fprintln(os.Stderr, "labnode:", err)
		os.Exit(failed)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("boot or enter is expected")
	}
	var node spec
	flags := flag.NewFlagSet("labnode "+args[0], flag.ContinueOnError)
	flags.StringVar(&node.name, "name", "", "name of the node")
	flags.StringVar(&node.root, "root", "", "its root `directory`")
	flags.StringVar(&node.cgroups, "cgroups", "", "`file` that lists its cgroups")
	flags.StringVar(&node.bin, "bin", "", "`directory` of its programs")
	flags.StringVar(&node.images, "images", "", "`directory` of its images")
	pid := flags.Int("pid", 0, "the node's PID 1 as seen from here")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "boot":
		return boot(node, args[1:])
	case "init":
		return initialize(node)
	case "enter":
		return enter(node.cgroups, *pid, flags.Args())
	case "exec":
		return become(flags.Args())
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// joinCgroups moves this process into every cgroup that file lists.
func joinCgroups(file string) error {
	list, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, dir := range strings.Fields(string(list)) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	return nil
}
