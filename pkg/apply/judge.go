package apply

import (
	"fmt"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Asked is what the DNS servers of a cluster answered from outside, and the snapshot whose
// pods were asked.
type Asked struct {
	Snapshot *facts.Snapshot
	Answers  []facts.Answer
	Not      []NotAsked
}

// NotAsked is a DNS server that could not be asked, and why.
type NotAsked struct {
	Pod facts.Ref
	Why string
}

// Judge compares the answers before and after a repair. A server that was asked and
// answers wrongly is a fault, unless one of the same workload did so before; one that
// could not be asked is neither. That a name is not there is an answer: it may be another
// cluster's domain.
func Judge(before, after Asked) (wrong string, notAsked []string) {
	was := map[facts.Ref]bool{}
	for _, a := range before.Answers {
		if !a.OK() {
			was[lasting(before.Snapshot, server(a))] = true
		}
	}
	for _, a := range after.Answers {
		if !a.OK() && !was[lasting(after.Snapshot, server(a))] && wrong == "" {
			wrong = fmt.Sprintf("%s, asked from outside: %s for %s", server(a), a.Said(), a.Name)
		}
	}
	for _, n := range after.Not {
		notAsked = append(notAsked, fmt.Sprintf("%s: %s", n.Pod, n.Why))
	}
	return wrong, notAsked
}

func server(a facts.Answer) facts.Ref {
	return facts.Ref{Kind: "Pod", Namespace: a.Namespace, Name: a.Pod}
}
