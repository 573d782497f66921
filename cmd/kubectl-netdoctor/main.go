// Command kubectl-netdoctor is a kubectl plugin that finds out why the network of a
// cluster does not work, and repairs it on request.
package main

import (
	"os"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cmd"
)

func main() { os.Exit(cmd.Main(os.Args[1:], cmd.System())) }
