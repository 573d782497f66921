package gather

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"

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
		g.start(func() { g.askKubelet(ctx, node.Name) })
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
	answer := g.client.CoreV1().RESTClient().Get().Resource("nodes").Name(node).SubResource("proxy").Suffix("configz").Do(ctx)
	if err := answer.Error(); err != nil {
		g.failed(facts.Configz, begin, node, reason(err))
		return
	}
	body, _ := answer.Raw() // fails only where Error does
	config, err := facts.DecodeConfigz(bytes.NewReader(body))
	if err != nil {
		g.failed(facts.Configz, begin, node, "the kubelet's answer: "+err.Error())
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.b.AddConfigz(node, config)
	g.answered(facts.Configz, begin, len(body))
}

// readProxy starts asking the pods of cluster DNS whether they are ready and for their
// metrics (ports of the stock Corefile: ready 8181, prometheus 9153).
func (g *gatherer) readProxy(ctx context.Context, s *facts.Snapshot) {
	if !g.wanted(facts.Proxy) {
		return
	}
	if why := s.Missing(facts.SystemPods); why != "" {
		g.gap(facts.Proxy, "", "which pods there are is not known")
		return
	}
	listening := slices.DeleteFunc(s.DNSPods(), func(p *facts.Pod) bool { return len(p.IPs()) == 0 }) // there is nobody to ask yet
	pods := choose(g, listening, sickProxyPods, soundProxyPods, notReady, podKind(s))
	for _, p := range pods.asked {
		g.start(func() { g.askPod(ctx, p, "8181", "ready") })
		g.start(func() { g.askPod(ctx, p, "9153", "metrics") })
	}
	for _, p := range pods.left {
		g.gap(facts.Proxy, p.Namespace+"/"+p.Name, notAsked)
	}
	g.sampled(facts.Proxy, len(pods.asked), pods.of)
}

// askPod keeps the body of an answer whatever its status: CoreDNS names the plugins
// that are not ready in the body of a 503.
func (g *gatherer) askPod(ctx context.Context, p *facts.Pod, port, path string) {
	ctx, cancel := context.WithTimeout(ctx, eachProxy)
	defer cancel()
	g.progress("proxy: %s/%s:%s/%s", p.Namespace, p.Name, port, path)
	begin := time.Now()
	body, err := g.client.CoreV1().RESTClient().Get().Namespace(p.Namespace).Resource("pods").
		Name(p.Name + ":" + port).SubResource("proxy").Suffix(path).DoRaw(ctx)
	if err = unanswered(body, err); err != nil {
		g.failed(facts.Proxy, begin, p.Namespace+"/"+p.Name+"/"+port, reason(err))
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.b.AddProxy(p.Namespace, p.Name, port, path, string(body))
	g.answered(facts.Proxy, begin, len(body))
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
