// Command fill fills a control plane that `lab up --state DIR` started with a large
// cluster in which three things are wrong, and prints what they are:
//
//	go run ./test/scale/fill -state DIR -pods 15000
//
// It is run from the root of the repository.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/scale"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	state := flag.String("state", "", "the control plane's `directory`")
	var size scale.Size
	flag.IntVar(&size.Pods, "pods", 15000, "pods of applications; kube-proxy and the network plugin have one more each on every node")
	flag.IntVar(&size.Nodes, "nodes", 0, "nodes; 0: one for 30 pods")
	flag.IntVar(&size.Services, "services", 0, "Services; 0: one for 15 pods")
	flag.IntVar(&size.Events, "events", 0, "events; 0: two for 15 pods")
	flag.Parse()
	if err := fill(ctx, *state, size); err != nil {
		fmt.Fprintln(os.Stderr, "fill:", err)
		os.Exit(1)
	}
}

func fill(ctx context.Context, state string, size scale.Size) error {
	usual := scale.For(size.Pods)
	size.Nodes, size.Services, size.Events = cmp.Or(size.Nodes, usual.Nodes), cmp.Or(size.Services, usual.Services), cmp.Or(size.Events, usual.Events)
	state, err := filepath.Abs(state)
	if err != nil {
		return err
	}
	server, err := scale.Running(state)
	if err != nil {
		return err
	}
	cluster, err := scale.New(os.DirFS("test/clusters/healthy"), size, time.Now())
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := cluster.Write(ctx, server.EtcdURL); err != nil {
		return err
	}
	fmt.Printf("%d objects in %s\n", cluster.Len(), time.Since(begin).Round(time.Second))
	for _, f := range size.Faults() {
		fmt.Printf("%s: %s, %s\n", f.Title, f.Check, f.Subject)
	}
	return nil
}
