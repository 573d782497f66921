package plane

import (
	"context"
	"crypto/x509/pkix"
	"net/http"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/network"
)

// ClusterDNS is the address of the kube-dns Service.
const ClusterDNS = "10.96.0.10"

// Cluster is the control plane of a lab with nodes.
type Cluster struct {
	State   State
	Bin     string // directory of the control plane's programs
	NodeBin string // directory of kube-scheduler and of the upstream's CoreDNS
	Network network.Network
	creds   *credentials
}

// Server is the URL of the API server, for nodes and pods too.
func (c *Cluster) Server() string { return "https://" + network.ControlPlaneAddress + ":6443" }

// Prepare makes the credentials and writes the control plane's.
func (c *Cluster) Prepare() error {
	if err := c.State.fill(); err != nil {
		return err
	}
	creds, err := newCredentials(c.Server(), []string{network.ControlPlaneAddress, "localhost", "127.0.0.1"})
	if err != nil {
		return err
	}
	c.creds = creds
	return creds.write(c.State)
}

// NodeSecrets makes the credentials of a kubelet, as files by their names below
// /etc/kubernetes. Prepare must have been called.
func (c *Cluster) NodeSecrets(node, address string) (map[string][]byte, error) {
	subject := pkix.Name{CommonName: "system:node:" + node, Organization: []string{"system:nodes"}}
	pair, err := c.creds.ca.issue(subject, node, address)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"pki/ca.crt":         c.creds.ca.cert,
		"pki/kubelet.crt":    pair.cert,
		"pki/kubelet.key":    pair.key,
		"kubelet.kubeconfig": kubeconfig(c.Server(), c.creds.ca.cert, pair),
	}, nil
}

// Client returns an administrator's client, which reaches the API server and
// whatever else is in the control plane's namespace.
func (c *Cluster) Client() (*http.Client, error) {
	return newClient(c.creds.ca.cert, c.creds.admin, c.Network.ControlPlane().Dial)
}

// Start starts the upstream DNS server and the control plane, and calls apiReady
// in between, once the API server works. The context that it returns ends when
// one of the processes does, with the reason as its cause, for as long as the
// caller lives; the processes outlive the caller.
func (c *Cluster) Start(ctx context.Context, client *http.Client, apiReady func()) (context.Context, error) {
	ctx, err := c.startUpstreamDNS(ctx)
	if err != nil {
		return ctx, err
	}
	children, ctx := c.processes(ctx, c.Network.ControlPlane())
	p := c.plane()
	for _, part := range []component{p.etcd(), p.apiserver("--kubelet-certificate-authority=" + c.State.path("ca.crt"))} {
		if err := part.bringUp(ctx, children, client); err != nil {
			return ctx, err
		}
	}
	apiReady()

	account := c.State.path("pki", "scheduler.kubeconfig")
	// Its readiness shows in the first pod that it schedules.
	err = children.start(filepath.Join(c.NodeBin, "kube-scheduler"),
		"--kubeconfig="+account,
		"--authentication-kubeconfig="+account,
		"--authorization-kubeconfig="+account,
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
	)
	if err != nil {
		return ctx, err
	}
	manager := p.controllerManager(
		"--allocate-node-cidrs",
		"--cluster-cidr="+network.PodRange,
		"--service-cluster-ip-range="+serviceCIDR,
		"--cluster-signing-cert-file="+c.State.path("ca.crt"),
		"--cluster-signing-key-file="+c.State.path("ca.key"),
	)
	return ctx, manager.bringUp(ctx, children, client)
}

func (c *Cluster) plane() plane {
	return plane{
		state: c.State, bin: c.Bin, address: network.ControlPlaneAddress,
		etcdPort: 2379, peerPort: 2380, apiPort: 6443,
	}
}

// processes returns a group of processes in a namespace that outlive the lab's
// command.
func (c *Cluster) processes(ctx context.Context, in network.Namespace) (*processes, context.Context) {
	return newProcesses(ctx, c.State.path("logs"), func(cmd *exec.Cmd) error {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return in.Do(cmd.Start)
	})
}
