package plane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// ServeOptions say how Serve runs a control plane.
type ServeOptions struct {
	State         string   // new or empty directory
	Bin           string   // directory of the programs
	NoControllers bool     // run no kube-controller-manager
	Controllers   string   // comma-separated list of the controllers to run
	APIServerArgs []string // more arguments for kube-apiserver, which win
}

// Serve runs a control plane without nodes on the loopback address until ctx
// ends, which is success once it has been ready and failure before. It needs no
// privileges. The calling goroutine must be locked to its thread, the end of
// which ends the control plane too.
func Serve(ctx context.Context, o ServeOptions, stdout io.Writer) error {
	state, err := filepath.Abs(o.State)
	if err != nil {
		return fmt.Errorf("finding the state directory: %w", err)
	}
	p := plane{state: State(state), bin: o.Bin, address: "127.0.0.1"}
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
	creds, err := newCredentials(p.apiURL(), []string{p.address, "localhost"})
	if err != nil {
		return err
	}
	if err := creds.write(p.state); err != nil {
		return err
	}
	client, err := newClient(creds.ca.cert, creds.admin, nil)
	if err != nil {
		return err
	}
	children, ctx := newProcesses(ctx, p.state.path("logs"), attached)
	defer children.stop()
	for _, c := range p.served(o) {
		if err := c.bringUp(ctx, children, client); err != nil {
			return err
		}
	}
	fmt.Fprintln(stdout, "ready", p.state.Kubeconfig())

	<-ctx.Done()
	var early *earlyExit
	if errors.As(context.Cause(ctx), &early) {
		return early
	}
	return nil
}

// served lists the programs in the order in which they must start.
func (p plane) served(o ServeOptions) []component {
	list := []component{p.etcd(), p.apiserver(append([]string{
		"--permit-port-sharing",           // the lab holds the port, see reservePort
		"--endpoint-reconciler-type=none", // a loopback address cannot be an endpoint
		// No --kubelet-certificate-authority: tests serve kubelets with
		// certificates that they sign themselves.
	}, o.APIServerArgs...)...)}
	if !o.NoControllers {
		list = append(list, p.controllerManager("--controllers="+o.Controllers))
	}
	return list
}

// DefaultControllers leaves out every controller that acts on a missing
// kubelet (node-lifecycle, taint-eviction, pod-garbage-collector) or assigns
// pod ranges (node-ipam): tests load nodes that nothing stands behind.
func DefaultControllers() string {
	return strings.Join([]string{
		"daemonset-controller",
		"deployment-controller",
		"endpointslice-controller",
		"garbage-collector-controller",
		"namespace-controller",
		"replicaset-controller",
		"root-ca-certificate-publisher-controller",
		"serviceaccount-controller",
		"serviceaccount-token-controller",
	}, ",")
}
