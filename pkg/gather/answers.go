package gather

import (
	"bytes"
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	maxKubelets  = 500 // whose configuration is read
	maxProxyPods = 20  // that are asked through pods/proxy

	// eachProxy is short: an API server outside the pod network finds no way to the pod
	// and would keep everybody waiting for its own dial timeout.
	eachProxy = 3 * time.Second
)

// readConfigz starts asking each node's kubelet for its live configuration, through the
// API server (nodes/proxy).
func (g *gatherer) readConfigz(ctx context.Context, s *facts.Snapshot) {
	if !g.wanted(facts.Configz) {
		return
	}
	if why := s.Missing(facts.Nodes); why != "" {
		g.gap(facts.Configz, "", "which nodes there are is not known: "+why)
		return
	}
	for i, node := range sortedNodes(s) {
		if i >= maxKubelets {
			g.gap(facts.Configz, node, fmt.Sprintf("not asked: %d kubelets are the limit", maxKubelets))
			continue
		}
		g.start(func() { g.askKubelet(ctx, node) })
	}
}

func (g *gatherer) askKubelet(ctx context.Context, node string) {
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	g.progress("configz: %s", node)
	body, err := g.client.CoreV1().RESTClient().Get().Resource("nodes").Name(node).SubResource("proxy").Suffix("configz").DoRaw(ctx)
	if err != nil {
		g.gap(facts.Configz, node, reason(err))
		return
	}
	config, err := facts.DecodeConfigz(bytes.NewReader(body))
	if err != nil {
		g.gap(facts.Configz, node, "the kubelet's answer: "+err.Error())
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.b.AddConfigz(node, config)
}

// readProxy starts asking the pods of cluster DNS whether they are ready and for their
// metrics (ports of the stock Corefile: ready 8181, prometheus 9153).
func (g *gatherer) readProxy(ctx context.Context, s *facts.Snapshot) {
	if !g.wanted(facts.Proxy) {
		return
	}
	if why := s.Missing(facts.Pods); why != "" {
		g.gap(facts.Proxy, "", "which pods there are is not known: "+why)
		return
	}
	for i, p := range s.DNSPods() {
		if i >= maxProxyPods || len(p.IPs) == 0 {
			continue
		}
		g.start(func() { g.askPod(ctx, p, "8181", "ready") })
		g.start(func() { g.askPod(ctx, p, "9153", "metrics") })
	}
}

// askPod keeps the body of an answer whatever its status: CoreDNS names the plugins
// that are not ready in the body of a 503.
func (g *gatherer) askPod(ctx context.Context, p *facts.Pod, port, path string) {
	ctx, cancel := context.WithTimeout(ctx, eachProxy)
	defer cancel()
	g.progress("proxy: %s/%s:%s/%s", p.Namespace, p.Name, port, path)
	body, err := g.client.CoreV1().RESTClient().Get().Namespace(p.Namespace).Resource("pods").
		Name(p.Name + ":" + port).SubResource("proxy").Suffix(path).DoRaw(ctx)
	if err != nil && (len(body) == 0 || fromServer(body) || apierrors.IsForbidden(err)) {
		g.gap(facts.Proxy, p.Namespace+"/"+p.Name+"/"+port, reason(err))
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.b.AddProxy(p.Namespace, p.Name, port, path, string(body))
}

// fromServer tells an error of the API server itself (it could not reach the pod) from
// an answer of the pod.
func fromServer(body []byte) bool { return bytes.Contains(body, []byte(`"kind":"Status"`)) }
