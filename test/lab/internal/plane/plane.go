// Package plane runs Kubernetes control planes: on the loopback address for as
// long as a test lasts, or in a network namespace for the nodes of a lab.
package plane

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/tail"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/wait"
)

const (
	serviceCIDR = "10.96.0.0/16"
	serviceIP   = "10.96.0.1" // of the kubernetes Service: the first in the range
	frontProxy  = "front-proxy-client"
)

// startTimeout is generous: it only matters when something is broken, and
// machines that run tests can be slow.
const startTimeout = 2 * time.Minute

// plane is where one control plane keeps its files and listens.
type plane struct {
	state                       State
	bin                         string
	address                     string // of the API server
	etcdPort, peerPort, apiPort int
}

// component is a program of the control plane and the URL that answers 200
// once it does its work.
type component struct {
	path     string
	args     []string
	readyURL string
}

// bringUp starts the component and waits until it works: kube-apiserver needs
// etcd, and kube-controller-manager gives up for good without kube-apiserver.
func (c component) bringUp(ctx context.Context, children *processes, client *http.Client) error {
	if err := children.start(c.path, c.args...); err != nil {
		return err
	}
	err := wait.For(ctx, startTimeout, func() error { return wait.OK(ctx, client, c.readyURL) })
	if err == nil {
		return nil
	}
	name := filepath.Base(c.path)
	if ctx.Err() != nil { // the cause shows a log of its own
		return fmt.Errorf("waiting for %s: %w", name, err)
	}
	return fmt.Errorf("waiting for %s: %w; the end of its log:\n%s", name, err, tail.File(children.log(name)))
}

func (p plane) program(name string) string { return filepath.Join(p.bin, name) }
func (p plane) etcdURL() string            { return fmt.Sprintf("http://127.0.0.1:%d", p.etcdPort) }
func (p plane) apiURL() string             { return fmt.Sprintf("https://%s:%d", p.address, p.apiPort) }

func (p plane) etcd() component {
	peerURL := fmt.Sprintf("http://127.0.0.1:%d", p.peerPort)
	return component{p.program("etcd"), []string{
		"--name=lab",
		"--data-dir=" + p.state.path("etcd"),
		"--listen-client-urls=" + p.etcdURL(),
		"--advertise-client-urls=" + p.etcdURL(),
		"--listen-peer-urls=" + peerURL,
		"--initial-advertise-peer-urls=" + peerURL,
		"--initial-cluster=lab=" + peerURL,
		"--socket-reuse-port",              // the lab may hold the ports, see reservePort
		"--unsafe-no-fsync",                // nobody reads the data after a crash
		"--quota-backend-bytes=8589934592", // the usual 2 GiB are filled by the largest clusters
		"--log-level=warn",
	}, p.etcdURL() + "/readyz"}
}

func (p plane) apiserver(more ...string) component {
	pki := func(name string) string { return p.state.path("pki", name) }
	ca := p.state.path("ca.crt")
	return component{p.program("kube-apiserver"), append([]string{
		"--etcd-servers=" + p.etcdURL(),
		"--bind-address=" + p.address,
		fmt.Sprintf("--secure-port=%d", p.apiPort),
		// Without it the address is looked up by the default route, which
		// need not exist.
		"--advertise-address=" + p.address,
		"--tls-cert-file=" + pki("apiserver.crt"),
		"--tls-private-key-file=" + pki("apiserver.key"),
		"--client-ca-file=" + ca,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged",
		"--service-cluster-ip-range=" + serviceCIDR,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + pki("sa.key"),
		"--service-account-signing-key-file=" + pki("sa.key"),
		"--kubelet-client-certificate=" + pki("kubelet-client.crt"),
		"--kubelet-client-key=" + pki("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + ca,
		"--requestheader-allowed-names=" + frontProxy,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + pki(frontProxy+".crt"),
		"--proxy-client-key-file=" + pki(frontProxy+".key"),
	}, more...), p.apiURL() + "/readyz"}
}

func (p plane) controllerManager(more ...string) component {
	return component{p.program("kube-controller-manager"), append([]string{
		"--kubeconfig=" + p.state.path("pki", "controller-manager.kubeconfig"),
		"--secure-port=0", // nobody scrapes it, and its default port is a fixed one
		"--leader-elect=false",
		"--use-service-account-credentials",
		"--root-ca-file=" + p.state.path("ca.crt"),
		"--service-account-private-key-file=" + p.state.path("pki", "sa.key"),
	}, more...),
		// Its own health says nothing about its work; this object is work done.
		p.apiURL() + "/api/v1/namespaces/default/serviceaccounts/default"}
}
