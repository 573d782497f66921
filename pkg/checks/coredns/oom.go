package coredns

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// OOM finds CoreDNS killed for want of memory.
var OOM = &checks.Check{
	ID:       "coredns-oom",
	Title:    "CoreDNS has the memory that it takes",
	Severity: checks.Error,
	URL:      "https://github.com/coredns/deployment/blob/master/kubernetes/Scaling_CoreDNS.md",
	Needs:    []*facts.Source{facts.SystemPods},
	MayUse:   []*facts.Source{facts.SystemDeployments, facts.ConfigMaps},
	IfRead:   []*facts.Source{facts.Pods, facts.Services}, // to count them all
	Explains: []*checks.Check{PodAnswers, symptom.PodNotReady, symptom.DNSServiceNoEndpoints, symptom.DNSDown, symptom.DNSProbeCluster},
	ByHand: []string{"kubectl -n kube-system describe pods -l k8s-app=kube-dns",
		"kubectl -n kube-system top pods -l k8s-app=kube-dns"},
	Run: findOOM,
	Doc: `The kernel kills a container that reaches its memory limit; the kubelet starts it again and notes **OOMKilled**.
While CoreDNS starts and reads the cluster's Services anew, it answers nothing. A server that runs again is told for a day,
as a warning: what happened will happen again.

CoreDNS holds all Services and endpoints in memory, beside its cache and the questions under way. The figures that its
makers measured, with a full cache of the default size: (pods + Services) / 1000 + 54 MB, and (pods + Services) / 250 + 56 MB
with ` + "`pods verified`" + `, which ` + "`autopath @kubernetes`" + ` needs and which holds all pods as well. They are old (CoreDNS 1.2) and a lower bound.
kubeadm's limit is 170Mi. Where the cluster is small for its limit, something else takes the memory: a loop that the plugin
**loop** would have found, a flood of questions (slow upstreams let them pile up), a cache made larger.

Cure: raise ` + "`resources.limits.memory`" + ` of the CoreDNS container (` + "`kubectl -n kube-system set resources deployment coredns --limits=memory=…`" + `).
` + "`kubeadm upgrade`" + ` takes it back unless the value is in its patches; with Helm or an add-on, set it there. More replicas help
against many questions, not against many Services.`,
}

// remembered is how long a server that runs again is told to have been killed.
const remembered = 24 * time.Hour

func findOOM(s *facts.Snapshot) []checks.Finding {
	fleet := newFleet(s)
	var dying, died []checks.Finding
	for _, v := range fleet.servers {
		last, killed := v.outOfMemory()
		now := v.container.State.Phase != facts.Running || s.Taken.Sub(v.container.State.Started.Time()) < settle
		switch {
		case !killed || v.pod.Deleting:
		case now:
			dying = told(dying, fleet.killed(s, v, last, "runs out of memory: CoreDNS is killed (OOMKilled)"))
		case s.Taken.Sub(last.Finished.Time()) < remembered:
			died = told(died, fleet.killed(s, v, last, "ran out of memory within the last day: CoreDNS was killed (OOMKilled)"))
		}
	}
	return fleet.together(dying, died)
}

// outOfMemory tells whether a server's last end was the kernel's doing, and which that
// was. The kubelet writes the reason whatever the exit code is.
func (v server) outOfMemory() (facts.State, bool) {
	last := v.container.State
	if last.Phase != facts.Terminated {
		last = v.container.Last()
	}
	return last, last.Reason == "OOMKilled"
}

func (f *fleet) killed(s *facts.Snapshot, v server, last facts.State, message string) checks.Finding {
	out := checks.Finding{
		Subject: owner(v.pod), Message: message, Places: []facts.Ref{v.pod.Ref()},
		Evidence: []checks.Evidence{checks.Quote(containerOf(v.pod.Ref(), v.container.Name),
			fmt.Sprintf("OOMKilled, exit code %d, at %s; restarted %d times", last.ExitCode, last.Finished.Time().Format(time.RFC3339), v.container.Restarts))},
	}
	need, sum := memoryNeed(s, v.pod)
	if spec := f.container(v); spec != nil {
		limit, limited := spec.Resources.Limits["memory"]
		from := containerOf(owner(v.pod), spec.Name)
		if !limited {
			out.Evidence = append(out.Evidence, checks.Quote(from, "resources.limits.memory is not set"))
			out.Remedy = "No limit is set, so its node had no memory left: free some there or take a larger node, and give CoreDNS a request of what it takes" + asMuch(need) + "."
		} else {
			out.Evidence = append(out.Evidence, checks.Quote(from, "resources.limits.memory: "+limit.String()))
			out.Remedy = remedyOOM(need, limit.Value(), limit.String(), loopless(s, v.pod))
		}
	} else {
		out.Remedy = "Raise resources.limits.memory of its CoreDNS container" + asMuch(need) + "."
	}
	if sum != "" {
		out.Evidence = append(out.Evidence, checks.Quote("memory for this cluster by CoreDNS's own formula, a lower bound", sum))
	}
	return out
}

// MemoryFor returns the limit that a server of CoreDNS should have in this cluster, and the sum
// that it comes from; "" where not all pods and Services are known.
func MemoryFor(s *facts.Snapshot, p *facts.Pod) (limit, sum string) {
	need, sum := memoryNeed(s, p)
	if need == 0 {
		return "", ""
	}
	return enough(need), sum
}

// loopless says what a forwarding loop has to do with it, as far as the Corefile tells.
func loopless(s *facts.Snapshot, p *facts.Pod) string {
	_, text := configOf(s, p)
	file, err := corefile.Parse(text)
	if text == "" || err != nil || !(config{file: file}).lacks("loop") {
		return "a forwarding loop (is the plugin loop in the Corefile?)"
	}
	return "a forwarding loop first of all (the Corefile has no plugin loop, which would have noticed one: look for a loopback address in the resolv.conf of the nodes)"
}

func remedyOOM(need int, limit int64, written, loop string) string {
	switch {
	case need == 0:
		return "Raise resources.limits.memory of its CoreDNS container, which is " + written + "."
	case limit < int64(need)*megabyte:
		return fmt.Sprintf("Raise resources.limits.memory of its CoreDNS container from %s to %s: the size of the cluster alone asks for %d MB.",
			written, enough(need), need)
	}
	return fmt.Sprintf("The size of the cluster asks for %d MB, and %s are allowed. Look for what takes the rest: %s, "+
		"a flood of questions, slow upstreams or a large cache. Until it is found, raise resources.limits.memory of its CoreDNS container.", need, written, loop)
}

func asMuch(need int) string {
	if need == 0 {
		return ""
	}
	return ": at least " + enough(need)
}

const (
	megabyte, mebibyte = 1000 * 1000, 1 << 20
	usual              = 170 // what kubeadm allows, in MiB
)

// enough returns a limit with half as much again as the formula asks for, and not less
// than kubeadm's: it leaves out what a load of questions takes.
func enough(need int) string {
	mi := math.Ceil(float64(need)*1.5*megabyte/mebibyte/10) * 10
	return fmt.Sprintf("%.0fMi", max(mi, usual))
}

// memoryNeed returns what the formula that CoreDNS publishes (coredns/deployment,
// Scaling_CoreDNS.md) asks for in this cluster, in MB, and how it comes about; 0 where
// not all pods and Services are known.
func memoryNeed(s *facts.Snapshot, p *facts.Pod) (need int, sum string) {
	if s.Missing(facts.Pods) != "" || s.Missing(facts.Services) != "" || s.Scope != "" {
		return 0, ""
	}
	per, base := 1000, 54
	if holdsPods(s, p) {
		per, base = 250, 56
	}
	objects := len(s.Pods) + len(s.Services)
	need = (objects+per-1)/per + base
	return need, fmt.Sprintf("(%d pods + %d Services) / %d + %d = %d MB", len(s.Pods), len(s.Services), per, base, need)
}

// holdsPods tells whether a server's kubernetes plugin keeps all pods in memory (coredns
// plugin/kubernetes, initPodCache).
func holdsPods(s *facts.Snapshot, p *facts.Pod) bool {
	_, text := configOf(s, p)
	file, err := corefile.Parse(text)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(file.Blocks, func(b *corefile.Block) bool {
		return slices.ContainsFunc(b.Find("kubernetes"), func(d *corefile.Directive) bool {
			return slices.ContainsFunc(d.Find("pods"), func(o *corefile.Directive) bool { return slices.Contains(o.Args, "verified") })
		})
	})
}
