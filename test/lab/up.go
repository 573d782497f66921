package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
)

type upOptions struct {
	state         string
	bin           string
	noControllers bool
	controllers   string
	apiserverArgs []string
}

func (o *upOptions) register(flags *flag.FlagSet) {
	flags.StringVar(&o.state, "state", "", "new or empty `directory` for kubeconfig, ca.crt, ca.key, data and logs")
	flags.StringVar(&o.bin, "bin", "", "`directory` of the binaries (default: what lab build prints)")
	flags.BoolVar(&o.noControllers, "no-controllers", false, "do not run kube-controller-manager")
	flags.StringVar(&o.controllers, "controllers", strings.Join(defaultControllers(), ","),
		"comma-separated `list` of controllers to run")
	flags.Func("apiserver-arg", "one more `argument` for kube-apiserver; may be repeated", func(arg string) error {
		o.apiserverArgs = append(o.apiserverArgs, arg)
		return nil
	})
}

// up runs a control plane until ctx ends, which is success once it has been
// ready and failure before.
func up(ctx context.Context, o upOptions, stdout io.Writer) error {
	state, err := filepath.Abs(o.state)
	if err != nil {
		return fmt.Errorf("finding the state directory: %w", err)
	}
	p := plane{state: stateDir(state), bin: o.bin}
	if err := p.state.create(); err != nil {
		return err
	}
	for _, port := range []*int{&p.etcdPort, &p.peerPort, &p.apiPort} {
		reserved, release, err := reservePort()
		if err != nil {
			return err
		}
		defer release()
		*port = reserved
	}
	ids, err := p.state.writeCredentials(p.apiURL())
	if err != nil {
		return err
	}
	client, err := newClient(ids.ca, ids.admin)
	if err != nil {
		return err
	}
	children, ctx := newProcesses(ctx, p.state.path("logs"))
	defer children.stop()
	for _, c := range p.components(o) {
		if err := c.bringUp(ctx, children, client); err != nil {
			return err
		}
	}
	fmt.Fprintln(stdout, "ready", p.state.kubeconfig())

	<-ctx.Done()
	var early *earlyExit
	if errors.As(context.Cause(ctx), &early) {
		return early
	}
	return nil
}

// bringUp starts the component and waits until it works: kube-apiserver needs
// etcd, and kube-controller-manager gives up for good without kube-apiserver.
func (c component) bringUp(ctx context.Context, children *processes, client *http.Client) error {
	if err := children.start(c.path, c.args...); err != nil {
		return err
	}
	if err := awaitOK(ctx, client, c.readyURL); err != nil {
		return fmt.Errorf("waiting for %s: %w", filepath.Base(c.path), err)
	}
	return nil
}
