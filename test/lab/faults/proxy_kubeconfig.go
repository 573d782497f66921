package faults

import (
	"fmt"
	"net"
	"net/url"

	"sigs.k8s.io/yaml"
)

// proxyKubeconfig is a load balancer that was taken away: no machine has the
// address any more. It is one of the API server's own network, where the kernel
// tells at once that nobody is there; from farther away kube-proxy says nothing
// for minutes.
func proxyKubeconfig() *Fault {
	f := proxyFault("proxy-kubeconfig", "kube-proxy's kubeconfig names a dead address of the API server", kubeconfigKey,
		otherServer(func(u *url.URL) { u.Host = net.JoinHostPort(unusedNeighbour(u.Hostname()), u.Port()) }))
	f.Shown = ofSystem(logged, proxyPods, "no route to host")
	f.Slow, f.Root = true, "kube-proxy-kubeconfig"
	f.Fix, f.Again = []string{"kube-proxy-kubeconfig"}, restartProxy
	return f
}

// unusedNeighbour returns an address beside that of a host, from the end of a
// small network, where hardly anybody puts machines.
func unusedNeighbour(host string) string {
	ip := net.ParseIP(host).To4()
	if ip == nil {
		return deadAddress
	}
	return net.IPv4(ip[0], ip[1], ip[2], 253).String()
}

// deadAddress is one that is for documentation only.
const deadAddress = "192.0.2.10"

// otherServer edits the addresses of API servers in a kubeconfig.
func otherServer(change func(*url.URL)) func(string) (string, error) {
	return func(text string) (string, error) {
		config := object{}
		if err := yaml.Unmarshal([]byte(text), &config); err != nil {
			return "", err
		}
		clusters, _ := config["clusters"].([]any)
		for i := range clusters {
			named, _ := clusters[i].(object)
			cluster, _ := named["cluster"].(object)
			u, err := url.Parse(fmt.Sprint(cluster["server"]))
			if err != nil {
				return "", err
			}
			change(u)
			cluster["server"] = u.String()
		}
		out, err := yaml.Marshal(config)
		return string(out), err
	}
}
