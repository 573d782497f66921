package gather

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"k8s.io/client-go/rest"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	mostAsked     = 10 // pods: in a large cluster a sample will do
	askedParallel = 4
	eachAnswer    = 5 * time.Second // for all answers of a pod, the port-forward included
)

// question is one that a DNS server is asked.
type question struct {
	kind  facts.AnswerKind
	name  string
	qtype uint16
}

// questions returns what to ask the DNS servers of a cluster: for the API server's
// Service, which every cluster has, for the name of its address, and for a name outside of
// the cluster with its final dot, unless that is empty.
func questions(s *facts.Snapshot, domain, outside string) []question {
	name := "kubernetes.default.svc." + domain
	if _, valid := dns.IsDomainName(name); domain == "" || !valid {
		name = "kubernetes.default.svc.cluster.local"
	}
	out := []question{{facts.AnswerCluster, dns.Fqdn(name), dns.TypeA}}
	if svc := s.Service("default", "kubernetes"); svc != nil && len(facts.ClusterIPs(svc)) > 0 {
		ip := facts.ClusterIPs(svc)[0]
		if addr, err := netip.ParseAddr(ip); err == nil && addr.Is6() {
			out[0].qtype = dns.TypeAAAA
		}
		if name, err := dns.ReverseAddr(ip); err == nil {
			out = append(out, question{facts.AnswerReverse, name, dns.TypePTR})
		}
	}
	if outside != "" {
		out = append(out, question{facts.AnswerOutside, outside, dns.TypeA})
	}
	return out
}

// Asked is what became of asking one pod of cluster DNS.
type Asked struct {
	Pod     facts.Ref
	Answers []facts.Answer
	Not     string // why it could not be asked, "" where it was
}

// AskDNS asks each DNS server of the cluster that is Ready, ten at most, for the address of
// the API server's Service, over TCP through a port-forward. What became of it stands in
// the order of the snapshot's pods. It takes at most fifteen seconds.
func AskDNS(ctx context.Context, config *rest.Config, s *facts.Snapshot) []Asked {
	pods := s.DNSPods()
	pods = pods[:min(len(pods), mostAsked)]
	out := make([]Asked, len(pods))
	ask := asker{config, questions(s, anyDomain(s), "")[:1]}
	slots := make(chan struct{}, askedParallel)
	var wg sync.WaitGroup
	for i, p := range pods {
		if !p.Ready {
			out[i] = Asked{Pod: p.Ref(), Not: "it is not ready"}
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			out[i] = ask.pod(ctx, p)
		})
	}
	wg.Wait()
	return out
}

func anyDomain(s *facts.Snapshot) string {
	for _, k := range s.Configz {
		if k != nil && k.ClusterDomain != "" {
			return k.ClusterDomain
		}
	}
	return ""
}

// asker asks pods of cluster DNS.
type asker struct {
	config    *rest.Config
	questions []question
}

// pod asks one server everything at once, so that what it must ask others for keeps
// nothing else waiting.
func (a asker) pod(ctx context.Context, p *facts.Pod) Asked {
	out := Asked{Pod: p.Ref(), Not: p.NotAskable()}
	if out.Not != "" {
		return out
	}
	bounded, cancel := context.WithTimeout(ctx, eachAnswer)
	defer cancel()
	f, err := newForward(bounded, a.config, p)
	if err != nil {
		out.Not = refusal(err)
		return out
	}
	type heard struct {
		answer facts.Answer
		not    string
	}
	all := make(chan heard, len(a.questions))
	for _, q := range a.questions {
		go func() {
			answer, not := f.ask(bounded, p, q)
			all <- heard{answer, not}
		}()
	}
	for range a.questions {
		h := <-all
		out.Answers = append(out.Answers, h.answer)
		out.Not = cmp.Or(out.Not, h.not)
	}
	if ctx.Err() != nil { // the run is over, and no server's patience at an end
		out.Not = Reason(ctx.Err())
	}
	if out.Not != "" {
		out.Answers = nil
	}
	slices.SortFunc(out.Answers, func(x, y facts.Answer) int { return cmp.Compare(x.Kind, y.Kind) })
	return out
}

// refusal says why there is no port-forward, as Reason does of other requests: of a refused
// upgrade client-go keeps nothing but the text.
func refusal(err error) string {
	text := strings.TrimPrefix(err.Error(), "unable to upgrade connection: ")
	_, who, found := strings.Cut(text, " is forbidden: ")
	switch {
	case found:
		return brief("forbidden: " + who)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Reason(err)
	}
	return brief(text)
}
