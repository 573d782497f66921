package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Answer is what a DNS server said to a question from outside.
type Answer struct {
	Pod facts.Ref
	OK  bool   // it gave an address, or said for certain that there is none
	Bad string // what is wrong with its answer, "" where it was not asked
	Not string // why it could not be asked
}

const (
	dnsPort     = 53
	eachAnswer  = 5 * time.Second
	mostAsked   = 10 // in a large cluster a sample will do
	askParallel = 4
)

// AskDNS asks each running DNS server of the cluster for the address of the API server's
// Service, over TCP through a port-forward as kubectl makes it. The answers stand in the
// order of the snapshot's pods.
func AskDNS(ctx context.Context, config *rest.Config, s *facts.Snapshot) []Answer {
	pods := s.DNSPods()
	pods = pods[:min(len(pods), mostAsked)]
	out := make([]Answer, len(pods))
	slots := make(chan struct{}, askParallel)
	var wg sync.WaitGroup
	for i, p := range pods {
		wg.Add(1)
		go func() {
			defer wg.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			out[i] = askPod(ctx, config, p, question(s))
		}()
	}
	wg.Wait()
	return out
}

func question(s *facts.Snapshot) string {
	for _, k := range s.Configz {
		if k != nil && k.ClusterDomain != "" {
			return dns.Fqdn("kubernetes.default.svc." + k.ClusterDomain)
		}
	}
	return "kubernetes.default.svc.cluster.local."
}

// askPod does not take what goes wrong on the way for the server's fault.
func askPod(ctx context.Context, config *rest.Config, p *facts.Pod, name string) Answer {
	out := Answer{Pod: p.Ref()}
	if p.Phase != corev1.PodRunning || p.Deleting || !p.Ready {
		out.Not = "it is not ready"
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, eachAnswer)
	defer cancel()
	forward, err := newForward(ctx, config, p)
	if err != nil {
		out.Not = "no port-forward: " + err.Error()
		return out
	}
	defer forward.close()
	query := new(dns.Msg)
	query.SetQuestion(name, dns.TypeA)
	client := dns.Client{Net: "tcp", Timeout: eachAnswer}
	reply, _, err := client.ExchangeContext(ctx, query, forward.addr)
	if failed := forward.failure(); failed != "" && !strings.Contains(failed, "connection refused") {
		out.Not = "no port-forward: " + failed
		return out
	}
	switch {
	case err != nil && ctx.Err() == nil && (errors.Is(err, io.EOF) || strings.Contains(err.Error(), "reset")):
		out.Bad = "nothing answers on TCP port " + strconv.Itoa(listens(p))
	case err != nil:
		out.Bad = "no answer in " + eachAnswer.String() + " for " + name
	case reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError:
		out.OK = true // that a name is not there is an answer, too: it may be another domain
	default:
		out.Bad = fmt.Sprintf("%s for %s", dns.RcodeToString[reply.Rcode], name)
	}
	return out
}

// listens returns the port on which a DNS server of a pod takes TCP.
func listens(p *facts.Pod) int {
	for _, c := range p.Containers {
		for _, port := range c.Ports {
			if p.RunsDNS(c) && port.Protocol == corev1.ProtocolTCP && (port.ContainerPort == dnsPort || port.Name == "dns-tcp") {
				return int(port.ContainerPort)
			}
		}
	}
	return dnsPort
}

// forward is a port-forward to one pod. What it has to say comes over errs.
type forward struct {
	addr string
	stop chan struct{}
	errs *said
}

// said collects what a port-forward says.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (f *forward) failure() string {
	f.errs.mu.Lock()
	defer f.errs.mu.Unlock()
	text, _, _ := strings.Cut(strings.TrimSpace(f.errs.text.String()), "\n")
	return text
}

func (f *forward) close() { close(f.stop) }

func newForward(ctx context.Context, config *rest.Config, p *facts.Pod) (*forward, error) {
	config = rest.CopyConfig(config)
	config.Timeout = 0 // it would end the stream
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	to := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(p.Namespace).Name(p.Name).SubResource("portforward").URL()
	dialer, err := dialerTo(config, to)
	if err != nil {
		return nil, err
	}
	f := &forward{stop: make(chan struct{}), errs: &said{}}
	ready, failed := make(chan struct{}), make(chan error, 1)
	pf, err := portforward.NewOnAddressesForStreaming(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", listens(p))}, f.stop, ready, io.Discard, f.errs)
	if err != nil {
		return nil, err
	}
	go func() { failed <- pf.ForwardPorts() }()
	select {
	case err := <-failed:
		return nil, err
	case <-ctx.Done():
		f.close()
		return nil, fmt.Errorf("none in %s", eachAnswer)
	case <-ready:
	}
	ports, err := pf.GetPorts()
	if err != nil {
		f.close()
		return nil, err
	}
	f.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(int(ports[0].Local)))
	return f, nil
}

// dialerTo asks for a websocket first and falls back to SPDY, as kubectl does.
func dialerTo(config *rest.Config, to *url.URL) (httpstream.Dialer, error) {
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	old := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, to)
	tunnel, err := portforward.NewSPDYOverWebsocketDialerForStreaming(to, config)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialerForStreaming(tunnel, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

// Judge compares the answers before and after a repair. A server that was asked and
// answers wrongly is a fault, unless one of the same workload did so before; one that
// could not be asked is neither.
func Judge(before, after Asked) (wrong string, notAsked []string) {
	was := map[facts.Ref]bool{}
	for _, a := range before.Answers {
		if a.Bad != "" {
			was[lasting(before.Snapshot, a.Pod)] = true
		}
	}
	for _, a := range after.Answers {
		switch {
		case a.Bad != "" && !was[lasting(after.Snapshot, a.Pod)] && wrong == "":
			wrong = fmt.Sprintf("%s, asked from outside: %s", a.Pod, a.Bad)
		case a.Not != "":
			notAsked = append(notAsked, fmt.Sprintf("%s: %s", a.Pod, a.Not))
		}
	}
	return wrong, notAsked
}

// Asked are answers and the snapshot whose pods were asked.
type Asked struct {
	Snapshot *facts.Snapshot
	Answers  []Answer
}
