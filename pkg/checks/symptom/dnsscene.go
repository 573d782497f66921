package symptom

import (
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// what names who does not answer the pods of a node.
type what int

const (
	pathDead   what = iota + 1 // the Service, while its pods do
	nobody                     // neither the Service nor any pod
	onlyHere                   // pods on other nodes
	someOnly                   // some pods
	serviceOut                 // the Service, and no pod was asked
)

// scene is what the pods of a node meet with when they ask.
type scene struct {
	what
	by   reply
	code string // where the reply is a wrong one
}

// scene tells it of one node. Pods that are ill towards everybody are told of by themselves,
// and where the Service answers every question nobody is cut off: pods that do not answer
// have gone meanwhile.
func (a asked) scene(ill map[*facts.Pod]bool, nx bool) scene {
	if a.served(nx) {
		return scene{}
	}
	service := judge(a.service, nx)
	sc := scene{by: service}
	fine, local, amissElsewhere := 0, 0, 0
	var failing []facts.Try
	for p, list := range a.pods {
		r := judge(list, nx)
		switch {
		case ill[p]:
		case r == 0:
			fine++
			if p.Node == a.node {
				local++
			}
		default:
			if sc.by == 0 || service == 0 && r < sc.by {
				sc.by = r
			}
			failing = append(failing, list...)
			if p.Node != a.node {
				amissElsewhere++
			}
		}
	}
	sc.what = a.who(service, fine, local, len(failing) > 0, len(failing) > 0 && amissElsewhere > 0, len(ill) > 0)
	if sc.what == 0 {
		return scene{}
	}
	if sc.by == wrong {
		sc.code = rcode(append(slices.Clone(a.service), failing...))
	}
	return sc
}

func (a asked) who(service reply, fine, local int, failing, elsewhere, ill bool) what {
	switch {
	case failing && fine == 0:
		return nobody
	case failing && elsewhere && local == fine:
		return onlyHere
	case failing:
		return someOnly
	case service == 0, ill:
		return 0 // what is behind the Service is told of
	case fine > 0:
		return pathDead
	}
	return serviceOut
}

// served tells whether every question to the Service was answered, and right.
func (a asked) served(nx bool) bool {
	return len(a.service) > 0 && !slices.ContainsFunc(a.service, func(t facts.Try) bool { return t.Lost > 0 || amiss(t, nx) })
}

// finding tells of one node.
func (a asked) finding(s *facts.Snapshot, sc scene, nx bool) checks.Finding {
	f := checks.Finding{Subject: facts.NodeRef(a.node), Message: "runs pods that " + sc.words(false), Remedy: sc.remedy()}
	if sc.by == noTCP {
		f.Severity = checks.Warning
	}
	direct := []facts.Try{}
	for _, t := range tries.From(s, a.node, facts.TargetDNSPod) {
		for p, list := range a.pods {
			if slices.Contains(list, t) {
				direct = append(direct, t)
				if sc.what != pathDead && judge(list, nx) != 0 {
					f.Places = append(f.Places, p.Ref())
				}
			}
		}
	}
	f.Places = slices.Compact(f.Places)
	f.Evidence = append(tries.Quotes(bad(a.service, nx), 2), tries.Quotes(bad(direct, nx), 2)...)
	if sc.what == pathDead || sc.what == someOnly || sc.what == onlyHere {
		f.Evidence = append(f.Evidence, tries.Quotes(slices.DeleteFunc(direct, func(t facts.Try) bool { return t.Dead() || amiss(t, nx) }), 1)...)
	}
	if sc.what == pathDead {
		f.Places = plugins.ProxiesOn(s, a.node)
	}
	return f
}

// together tells of all nodes at once.
func together(sc scene, list []checks.Finding) checks.Finding {
	f := checks.Finding{Subject: facts.ClusterDNS(), Message: sc.words(true), Remedy: list[0].Remedy, Severity: list[0].Severity}
	for _, of := range list {
		f.Places = append(append(f.Places, of.Subject), of.Places...)
		f.Evidence = append(f.Evidence, of.Evidence[:min(len(of.Evidence), 2)]...)
	}
	return f
}

// words says what happens, of pods on a node or of all that asked.
func (sc scene) words(all bool) string {
	answer, none := "get no answer", "does not answer"
	switch sc.by {
	case noUDP:
		answer, none = "get no answer over UDP", "does not answer over UDP"
	case noTCP:
		answer, none = "get no answer over TCP", "does not answer over TCP"
	case wrong:
		answer, none = "are answered "+sc.code, "answers "+sc.code
	}
	switch sc.what {
	case pathDead:
		if all {
			return none + " at the address of its Service, although its pods do"
		}
		return answer + " at the address of the DNS Service, although the DNS pods answer"
	case nobody:
		if all {
			return none + " at all, neither at the address of its Service nor its pods"
		}
		return answer + " from cluster DNS, neither at the address of its Service nor from its pods"
	case onlyHere:
		if all {
			return none + " pods on other nodes than its own"
		}
		return answer + " from DNS pods on other nodes"
	case someOnly:
		if all {
			return none + " for some of its pods, each towards some nodes"
		}
		return answer + " from some DNS pods"
	}
	if all {
		return none + " at the address of its Service"
	}
	return answer + " at the address of the DNS Service"
}

func (sc scene) remedy() string {
	switch {
	case sc.by == wrong:
		return "Read the logs of the CoreDNS pods, and compare the zone in the Corefile with clusterDomain of the kubelets."
	case sc.by == noTCP:
		return "Let TCP port 53 through to the DNS pods beside UDP: answers that are too large for UDP come over it."
	case sc.by == noUDP:
		return "Let UDP port 53 through to the DNS pods beside TCP: nearly all questions come over it."
	case sc.what == pathDead, sc.what == serviceOut:
		return "Compare the Service's endpoints with the DNS pods; if they fit, look at kube-proxy on the node, and at net.bridge.bridge-nf-call-iptables where the DNS pod is on the same one."
	}
	return "Let pods reach those on the nodes of the DNS pods: see what is told of traffic between pods."
}
