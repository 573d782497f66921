package gather

import (
	"context"
	"time"

	"k8s.io/client-go/rest"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// readAnswers starts asking the pods of cluster DNS. Those that run and are not Ready are
// asked, too: what they answer tells why.
func (g *gatherer) readAnswers(ctx context.Context, config *rest.Config, s *facts.Snapshot) {
	if !g.wanted(facts.Answers) {
		return
	}
	if why := s.Missing(facts.SystemPods); why != "" {
		g.gap(facts.Answers, "", "which pods there are is not known")
		return
	}
	pods := choose(g, g.askable(s.DNSPods()), mostAsked/2, mostAsked/2, notReady, podKind(s))
	g.leave(facts.Answers, pods)
	g.sampled(facts.Answers, len(pods.asked), pods.of)
	slots := make(chan struct{}, askedParallel)
	g.wg.Go(func() {
		ask := asker{config, questions(s, g.clusterDomain(ctx), g.opts.OutsideName)}
		for _, p := range pods.asked {
			g.wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				g.askDNS(ctx, ask, p)
			})
		}
	})
}

// askable leaves out the pods that cannot be asked, and says why.
func (g *gatherer) askable(pods []*facts.Pod) []*facts.Pod {
	var out []*facts.Pod
	for _, p := range pods {
		if why := p.NotAskable(); why != "" {
			g.gap(facts.Answers, p.Namespace+"/"+p.Name, why)
		} else {
			out = append(out, p)
		}
	}
	return out
}

func (g *gatherer) askDNS(ctx context.Context, ask asker, p *facts.Pod) {
	g.progress("answers: %s/%s", p.Namespace, p.Name)
	begin := time.Now()
	asked := ask.pod(ctx, p)
	if asked.Not != "" {
		g.failed(facts.Answers, begin, p.Namespace+"/"+p.Name, asked.Not)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	size := 0
	for _, a := range asked.Answers {
		g.b.AddAnswer(a)
		size += len(a.String())
	}
	g.answered(facts.Answers, begin, size)
}

// tell keeps the first domain that a kubelet names.
func (g *gatherer) tell(domain string) {
	select {
	case g.domain <- domain:
	default:
	}
}

// clusterDomain waits for a kubelet that says which domain the cluster has, "" where none
// does.
func (g *gatherer) clusterDomain(ctx context.Context) string {
	none := make(chan struct{})
	go func() {
		g.kubelets.Wait()
		close(none)
	}()
	select {
	case domain := <-g.domain:
		return domain
	case <-ctx.Done():
		return ""
	case <-none:
	}
	select {
	case domain := <-g.domain:
		return domain
	default:
		return ""
	}
}
