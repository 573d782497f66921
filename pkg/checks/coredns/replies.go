package coredns

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/served"
)

// reply is what one server answered for the API server's Service, and what is wrong with
// it, if anything.
type reply struct {
	server
	answer *facts.Answer
	wrong  string // as a message; "" where it is right

	// unsure says why it may be wrong for us alone, or in our eyes: then it is so for all
	// replicas. against is the same for this one.
	unsure, against string
}

// replies returns what the servers answered, by what they belong to, in the order of the
// pods. What is not Ready and has just been started is left out: it reads from the API
// server first.
func replies(s *facts.Snapshot) [][]reply {
	at := map[facts.Ref]int{}
	var out [][]reply
	seen := map[*facts.Pod]bool{}
	for _, v := range newFleet(s).servers {
		a := s.AnswerOf(v.pod, facts.AnswerCluster)
		young := !v.pod.Ready && s.Taken.Sub(v.container.State.Started.Time()) < grace
		if a == nil || young || v.pod.Deleting || seen[v.pod] {
			continue
		}
		seen[v.pod] = true
		i, known := at[owner(v.pod)]
		if !known {
			i, out = len(out), append(out, nil)
			at[owner(v.pod)] = i
		}
		out[i] = append(out[i], judged(s, v, a))
	}
	for i := range out {
		undoubt(out[i])
	}
	return out
}

func judged(s *facts.Snapshot, v server, a *facts.Answer) reply {
	r := reply{server: v, answer: a, unsure: s.Selective(v.pod)}
	if v.pod.HostNetwork {
		r.against = r.unsure
	}
	switch own := apiAddresses(s); {
	case a.Err != "":
		r.wrong = "does not answer questions for the cluster's names"
		r.against, r.unsure = cmp.Or(served.Others(s, v.pod), r.against), cmp.Or(r.unsure, served.Elsewhere(s, v.pod))
	case a.Rcode == "NXDOMAIN":
		r.wrong = "says that names of the cluster do not exist (NXDOMAIN)"
		if !domainKnown(s, v.pod, a.Name) {
			r.unsure = cmp.Or(r.unsure, "whether the cluster's domain is that of "+a.Name+" is not known")
		}
	case a.Rcode != "NOERROR":
		r.wrong = "answers " + a.Rcode + " to questions for the cluster's names"
	case len(own) > 0 && !slices.ContainsFunc(own, func(ip string) bool { return listed(a.Records, ip) }):
		r.wrong = "does not give the address of a Service that the Service has"
	}
	return r
}

func listed(records []string, ip string) bool {
	return slices.ContainsFunc(records, func(r string) bool { return facts.SameIP(r, ip) })
}

// apiAddresses returns the addresses of the Service that was asked for, none where it is
// not known.
func apiAddresses(s *facts.Snapshot) []string {
	svc := s.Service(APIService().Namespace, APIService().Name)
	if svc == nil {
		return nil
	}
	return facts.ClusterIPs(svc)
}

// domainKnown tells whether a name was asked for in the domain of the cluster: the one
// that kubelets hand out, or one that the Corefile is to serve.
func domainKnown(s *facts.Snapshot, p *facts.Pod, name string) bool {
	asked := strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(name), "kubernetes.default.svc."), ".")
	if told := clusterDomains(s); len(told) > 0 {
		return len(told) == 1 && told[0].name == asked
	}
	for _, c := range configs(s) {
		for _, b := range c.file.Blocks {
			mine := slices.ContainsFunc(c.servers, func(v server) bool { return v.pod == p })
			if mine && slices.ContainsFunc(clusterZones(b), func(z string) bool { return strings.TrimSuffix(z, ".") == asked }) {
				return true
			}
		}
	}
	return false
}

// undoubt takes the doubt away where another replica of the same configuration answers
// rightly: what keeps us and clients apart keeps us from all of them.
func undoubt(list []reply) {
	if !slices.ContainsFunc(list, reply.right) {
		return
	}
	for i := range list {
		list[i].unsure = ""
	}
}

func (r reply) right() bool { return r.wrong == "" }

// sick tells whether something is wrong for certain.
func (r reply) sick() bool { return r.wrong != "" && r.unsure+r.against == "" }

// How long an answer from memory may take through a port-forward: as long as CoreDNS gives
// itself for one over loopback (coredns plugin/health/overloaded.go), and not several times
// as long as that of another replica, since the way there takes its time as well.
const (
	slowReply   = time.Second
	timesSlower = 5
)

// quickest returns the right answer that came first; there must be one.
func quickest(list []reply) reply {
	right := slices.DeleteFunc(slices.Clone(list), func(r reply) bool { return !r.right() })
	return slices.MinFunc(right, func(x, y reply) int { return cmp.Compare(x.answer.Took, y.answer.Took) })
}

// slow tells whether a right answer came late, in comparison with another one.
func (r reply) slow(than reply) bool {
	return r.right() && r.answer.Took > slowReply && r.answer.Took > timesSlower*than.answer.Took
}

// quoteAnswer quotes what a server answered.
func (v server) quoteAnswer(a *facts.Answer) checks.Evidence {
	return checks.Quote(v.pod.Ref().String()+", asked through a port-forward", a.String())
}
