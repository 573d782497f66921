package gather

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// eachProxy is short: an API server outside the pod network finds no way to the pod and
// would keep everybody waiting for its own dial timeout.
const eachProxy = 3 * time.Second

// readConfigz starts asking each node's kubelet for its live configuration, through the
// API server (nodes/proxy).
func (g *gatherer) readConfigz(ctx context.Context, s *facts.Snapshot) {
	if !g.wanted(facts.Configz) {
		return
	}
	if why := s.Missing(facts.Nodes); why != "" {
		g.gap(facts.Configz, "", "which nodes there are is not known")
		return
	}
	nodes := choose(g, machines(s), sickKubelets, soundKubelets, ailing(s), kindOf)
	for _, node := range nodes.asked {
		g.kubelets.Add(1)
		g.start(func() {
			defer g.kubelets.Done()
			g.askKubelet(ctx, node.Name)
		})
	}
	for _, node := range nodes.left {
		g.gap(facts.Configz, node.Name, notAsked)
	}
	g.sampled(facts.Configz, len(nodes.asked), nodes.of)
}

func (g *gatherer) askKubelet(ctx context.Context, node string) {
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	g.progress("configz: %s", node)
	begin := time.Now()
	config, size, err := Configz(ctx, g.client, node)
	if err != nil {
		g.failed(facts.Configz, begin, node, Reason(err))
		return
	}
	if config.ClusterDomain != "" {
		g.tell(config.ClusterDomain)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.b.AddConfigz(node, config)
	g.answered(facts.Configz, begin, size)
}

// Configz returns the configuration that a node's kubelet works with, and how many bytes it
// took to tell.
func Configz(ctx context.Context, client kubernetes.Interface, node string) (*kubeletv1beta1.KubeletConfiguration, int, error) {
	answer := client.CoreV1().RESTClient().Get().Resource("nodes").Name(node).SubResource("proxy").Suffix("configz").Do(ctx)
	if err := answer.Error(); err != nil {
		return nil, 0, err
	}
	body, _ := answer.Raw() // fails only where Error does
	config, err := facts.DecodeConfigz(bytes.NewReader(body))
	if err != nil {
		return nil, len(body), fmt.Errorf("the kubelet's answer: %w", err)
	}
	return config, len(body), nil
}

// readProxy starts asking the pods of cluster DNS whether they are ready and for their
// metrics (ports of the stock Corefile: ready 8181, prometheus 9153), and those of
// kube-proxy how they fare (healthzBindAddress as it comes: 10256).
func (g *gatherer) readProxy(ctx context.Context, s *facts.Snapshot) {
	proxy, metrics := g.wanted(facts.Proxy), g.wanted(facts.Metrics)
	if why := s.Missing(facts.SystemPods); why != "" {
		for _, src := range []*facts.Source{facts.Proxy, facts.Metrics} {
			if g.wanted(src) {
				g.gap(src, "", "which pods there are is not known")
			}
		}
		return
	}
	dns := g.listening(s, s.DNSPods())
	for _, p := range dns.asked {
		if proxy {
			g.start(func() { g.askPod(ctx, p, "8181", "ready") })
		}
		if proxy || metrics {
			g.start(func() { g.askMetrics(ctx, p) })
		}
	}
	if metrics {
		g.leave(facts.Metrics, dns)
		g.sampled(facts.Metrics, len(dns.asked), dns.of)
	}
	if !proxy {
		return
	}
	proxies := g.listening(s, s.KubeProxyPods())
	for _, p := range proxies.asked {
		g.start(func() { g.askPod(ctx, p, "10256", "livez") })
	}
	g.leave(facts.Proxy, dns)
	g.leave(facts.Proxy, proxies)
	g.sampled(facts.Proxy, len(dns.asked)+len(proxies.asked), dns.of+proxies.of)
}

// listening chooses among pods those to ask; one without an address cannot be.
func (g *gatherer) listening(s *facts.Snapshot, pods []*facts.Pod) chosen[*facts.Pod] {
	pods = slices.DeleteFunc(pods, func(p *facts.Pod) bool { return len(p.IPs()) == 0 })
	return choose(g, pods, sickProxyPods, soundProxyPods, notReady, podKind(s))
}

func (g *gatherer) leave(src *facts.Source, pods chosen[*facts.Pod]) {
	for _, p := range pods.left {
		g.gap(src, p.Namespace+"/"+p.Name, notAsked)
	}
}

// askMetrics asks a pod of cluster DNS for its metrics, and once more after a while where
// checks compare the two. The while keeps no place busy.
func (g *gatherer) askMetrics(ctx context.Context, p *facts.Pod) {
	ok := g.askPod(ctx, p, "9153", "metrics")
	switch {
	case !g.wanted(facts.Metrics):
		return
	case !ok:
		g.gap(facts.Metrics, p.Namespace+"/"+p.Name, "it does not answer on port 9153")
		return
	case g.opts.Apart == 0:
		g.gap(facts.Metrics, p.Namespace+"/"+p.Name, "read once only")
		return
	}
	g.wg.Go(func() {
		select {
		case <-ctx.Done():
			g.gap(facts.Metrics, p.Namespace+"/"+p.Name, Reason(ctx.Err()))
		case <-time.After(g.opts.Apart):
			g.start(func() { g.askMetricsAgain(ctx, p) })
		}
	})
}

func (g *gatherer) askMetricsAgain(ctx context.Context, p *facts.Pod) {
	begin := time.Now()
	body, err := g.get(ctx, p, "9153", "metrics")
	if err != nil {
		g.failed(facts.Metrics, begin, p.Namespace+"/"+p.Name, Reason(err))
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.b.AddMetrics(p.Namespace, p.Name, facts.Scrape{At: time.Now(), Text: string(body)})
	g.answered(facts.Metrics, begin, len(body))
}

// askPod asks a pod and keeps the body of the answer. It tells whether there was one.
func (g *gatherer) askPod(ctx context.Context, p *facts.Pod, port, path string) bool {
	begin := time.Now()
	body, err := g.get(ctx, p, port, path)
	if err != nil {
		g.failed(facts.Proxy, begin, p.Namespace+"/"+p.Name+"/"+port, Reason(err))
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wanted(facts.Proxy) {
		g.b.AddProxy(p.Namespace, p.Name, port, path, string(body))
	}
	if path == "metrics" && g.wanted(facts.Metrics) {
		g.b.AddMetrics(p.Namespace, p.Name, facts.Scrape{At: time.Now(), Text: string(body)})
	}
	g.answered(facts.Proxy, begin, len(body))
	return true
}

// get returns the body of a pod's answer whatever its status: CoreDNS names the plugins
// that are not ready in the body of a 503.
func (g *gatherer) get(ctx context.Context, p *facts.Pod, port, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, eachProxy)
	defer cancel()
	g.progress("proxy: %s/%s:%s/%s", p.Namespace, p.Name, port, path)
	body, err := g.client.CoreV1().RESTClient().Get().Namespace(p.Namespace).Resource("pods").
		Name(p.Name + ":" + port).SubResource("proxy").Suffix(path).DoRaw(ctx)
	return body, unanswered(body, err)
}

// unanswered returns why a body is not the whole answer of a pod, or nil where it is:
// the request failed, or the API server speaks for itself because it could not reach
// the pod or does not let the user ask.
func unanswered(body []byte, err error) error {
	if err == nil {
		return nil
	}
	if own := fromServer(body); own != nil {
		return own
	}
	var status apierrors.APIStatus
	if len(body) == 0 || !errors.As(err, &status) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return err
	}
	return nil
}

// fromServer returns the error that the API server sent, or nil where the body is not
// its own. It writes its errors in whatever encoding the request accepts, protobuf too.
func fromServer(body []byte) error {
	obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if _, ok := obj.(*metav1.Status); err != nil || !ok {
		return nil
	}
	return apierrors.FromObject(obj)
}
