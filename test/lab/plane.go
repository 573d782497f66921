package main

import (
	"fmt"
	"path/filepath"
)

const (
	serviceCIDR = "10.96.0.0/16"
	serviceIP   = "10.96.0.1" // of the kubernetes Service: the first in the range
	frontProxy  = "front-proxy-client"
)

// plane is where one control plane keeps its files and listens.
type plane struct {
	state                       stateDir
	bin                         string
	etcdPort, peerPort, apiPort int
}

// component is a program of the control plane and the URL that answers 200
// once it does its work.
type component struct {
	path     string
	args     []string
	readyURL string
}

// components lists the programs in the order in which they must start.
func (p plane) components(o upOptions) []component {
	list := []component{
		{p.program("etcd"), p.etcdArgs(), p.etcdURL() + "/readyz"},
		{p.program("kube-apiserver"), append(p.apiserverArgs(), o.apiserverArgs...), p.apiURL() + "/readyz"},
	}
	if o.noControllers {
		return list
	}
	return append(list, component{
		p.program("kube-controller-manager"), p.controllerManagerArgs(o.controllers),
		// Its own health says nothing about its work; this object is work done.
		p.apiURL() + "/api/v1/namespaces/default/serviceaccounts/default",
	})
}

func (p plane) program(name string) string { return filepath.Join(p.bin, name) }
func (p plane) etcdURL() string            { return fmt.Sprintf("http://127.0.0.1:%d", p.etcdPort) }
func (p plane) apiURL() string             { return fmt.Sprintf("https://127.0.0.1:%d", p.apiPort) }

func (p plane) etcdArgs() []string {
	peerURL := fmt.Sprintf("http://127.0.0.1:%d", p.peerPort)
	return []string{
		"--name=lab",
		"--data-dir=" + p.state.path("etcd"),
		"--listen-client-urls=" + p.etcdURL(),
		"--advertise-client-urls=" + p.etcdURL(),
		"--listen-peer-urls=" + peerURL,
		"--initial-advertise-peer-urls=" + peerURL,
		"--initial-cluster=lab=" + peerURL,
		"--socket-reuse-port", // the lab holds the ports, see reservePort
		"--unsafe-no-fsync",   // nobody reads the data after a crash
		"--log-level=warn",
	}
}

func (p plane) apiserverArgs() []string {
	pki := func(name string) string { return p.state.path("pki", name) }
	ca := p.state.path("ca.crt")
	return []string{
		"--etcd-servers=" + p.etcdURL(),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", p.apiPort),
		"--permit-port-sharing", // the lab holds the port, see reservePort
		// Without it the address is looked up by the default route, which
		// need not exist; and a loopback address cannot be an endpoint.
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
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
		// No --kubelet-certificate-authority: tests serve kubelets with
		// certificates that they sign themselves.
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
	}
}

func (p plane) controllerManagerArgs(controllers string) []string {
	return []string{
		"--kubeconfig=" + p.state.path("pki", "controller-manager.kubeconfig"),
		"--secure-port=0", // nobody scrapes it, and its default port is a fixed one
		"--leader-elect=false",
		"--controllers=" + controllers,
		"--use-service-account-credentials",
		"--root-ca-file=" + p.state.path("ca.crt"),
		"--service-account-private-key-file=" + p.state.path("pki", "sa.key"),
	}
}

// defaultControllers leaves out every controller that acts on a missing
// kubelet (node-lifecycle, taint-eviction, pod-garbage-collector) or assigns
// pod ranges (node-ipam): tests load nodes that nothing stands behind.
func defaultControllers() []string {
	return []string{
		"daemonset-controller",
		"deployment-controller",
		"endpointslice-controller",
		"garbage-collector-controller",
		"namespace-controller",
		"replicaset-controller",
		"root-ca-certificate-publisher-controller",
		"serviceaccount-controller",
		"serviceaccount-token-controller",
	}
}
