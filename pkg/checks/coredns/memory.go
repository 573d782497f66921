package coredns

import (
	"fmt"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// MemorySize finds CoreDNS with less memory than its makers reckon for a cluster of this
// size.
var MemorySize = &checks.Check{
	ID:       "coredns-memory-size",
	Title:    "The memory limit of CoreDNS suits the size of the cluster",
	Severity: checks.Warning,
	URL:      "https://github.com/coredns/deployment/blob/master/kubernetes/Scaling_CoreDNS.md",
	Needs:    []*facts.Source{facts.SystemPods, facts.SystemDeployments},
	MayUse:   []*facts.Source{facts.ConfigMaps, facts.PodLogs},
	IfRead:   []*facts.Source{facts.Pods, facts.Services}, // to count them all
	Explains: []*checks.Check{PodAnswers, symptom.PodNotReady, symptom.DNSServiceNoEndpoints, symptom.DNSDown, symptom.DNSProbeCluster},
	Parts:    countedServices,
	When:     notCounted,
	ByHand: []string{"kubectl -n kube-system get deployment coredns -o jsonpath='{.spec.template.spec.containers[*].resources}'",
		"kubectl get pods -A --no-headers | wc -l; kubectl get services -A --no-headers | wc -l"},
	Run: findMemorySize,
	Doc: `What CoreDNS takes of memory grows with the cluster: it holds all Services and endpoints, and with ` + "`pods verified`" + `,
which ` + "`autopath @kubernetes`" + ` needs, all pods. Its makers measured, with a full cache of the default size, (pods + Services) / 1000 + 54 MB, and
(pods + Services) / 250 + 56 MB with the pods. The figures are old (CoreDNS 1.2) and a lower bound: many questions at a time,
slow upstreams, a larger cache and the moment in which everything is read anew come on top. kubeadm's limit of 170Mi is enough
for about 124,000 pods and Services, and for 30,000 with the pods in memory.

It is told where the limit is less than that figure and three tenths more. CoreDNS will be killed (**coredns-oom**, which is told in
place of this once it has been), and while a server starts and reads everything anew, it answers nothing.

With a limit that is tighter still it is not even killed. The kernel takes the pages of its program away, which count against the
limit where the node had not read them before, and reads them from the disk again and again: CoreDNS runs, is never Ready, and its
log tells of no server. That is told as an error.

Cure: raise ` + "`resources.limits.memory`" + ` of the CoreDNS container to half as much again as the figure. ` + "`kubeadm upgrade`" + ` takes it back
unless the value is in its patches (target corednsdeployment); with Helm or an add-on, set it there.`,
}

// notCounted says why the size of the cluster is not known although nothing is amiss.
func notCounted(s *facts.Snapshot) string {
	switch {
	case s.Scope != "":
		return "it counts the pods and Services of the whole cluster, and one namespace was looked at"
	case s.SystemOnly[facts.Pods.Name] || s.SystemOnly[facts.Services.Name]:
		return "it counts the pods and Services of the whole cluster, and those of the system namespaces were read: a check of everything reads them all"
	}
	return ""
}

func countedServices(*facts.Snapshot) []checks.Part {
	return []checks.Part{{Source: facts.Services, Key: "all namespaces"}}
}

func findMemorySize(s *facts.Snapshot) []checks.Finding {
	fleet := newFleet(s)
	killed := map[facts.Ref]bool{}
	for _, v := range fleet.servers {
		killed[owner(v.pod)] = killed[owner(v.pod)] || v.killedLately(s)
	}
	var out []checks.Finding
	for _, v := range fleet.servers {
		spec := fleet.container(v)
		if spec == nil || v.pod.Deleting || killed[owner(v.pod)] {
			continue
		}
		limit, limited := spec.Resources.Limits["memory"]
		need, sum := memoryNeed(s, v.pod)
		if !limited || need == 0 || limit.Value()*10 >= int64(need)*13*megabyte {
			continue
		}
		f := checks.Finding{
			Subject: owner(v.pod), Places: []facts.Ref{v.pod.Ref()}, Alone: true,
			Message: "has hardly more memory than a cluster of this size asks of CoreDNS",
			Evidence: []checks.Evidence{checks.Quote(containerOf(owner(v.pod), spec.Name), "resources.limits.memory: "+limit.String()),
				checks.Quote("memory for this cluster by CoreDNS's own formula, a lower bound", sum)},
			Remedy: fmt.Sprintf("Raise resources.limits.memory of its CoreDNS container from %s to %s, before it is killed for want of memory.", limit.String(), enough(need)),
		}
		if limit.Value() < int64(need)*megabyte {
			f.Message = "has less memory than a cluster of this size asks of CoreDNS"
		}
		if since, known := v.standsStill(s); known {
			f.Message, f.Severity, f.Alone = "has too little memory to get started: CoreDNS runs, and stands still", checks.Error, false
			f.Evidence = append(f.Evidence, checks.Quote(containerOf(v.pod.Ref(), v.container.Name),
				"not Ready, and no word of a server in its log since "+since.Time().Format(time.RFC3339)))
			f.Remedy = fmt.Sprintf("Raise resources.limits.memory of its CoreDNS container from %s to %s.", limit.String(), enough(need))
		}
		out = told(out, f)
	}
	return fleet.grade(out)
}

// sigkilled is how a container ends that does not end by itself in the time it is given.
const sigkilled = 128 + 9

// standsStill returns since when a server runs without having said a word, one that its liveness
// probe has ended meanwhile from the start of the one before; known is false where it has, or
// where it had no time to. A server says its version as soon as it listens, and what it waits for
// before.
func (v server) standsStill(s *facts.Snapshot) (since facts.Stamp, known bool) {
	log, read := s.Logs[v.pod.Namespace+"/"+v.pod.Name+"/"+v.container.Name]
	if v.pod.Ready || v.container.State.Phase != facts.Running || !read || spoke(log.Current) {
		return 0, false
	}
	since = v.container.State.Started
	if last := v.container.Last(); last.ExitCode == sigkilled && last.Started != 0 && !spoke(log.Previous) {
		since = last.Started
	}
	return since, s.Taken.Sub(since.Time()) >= settle
}

// spoke tells whether a log holds more than what CoreDNS writes before it has read anything
// (coremain/run.go, go.uber.org/automaxprocs).
func spoke(log string) bool {
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(newSaid("", line).text, "maxprocs: ") {
			return true
		}
	}
	return false
}

// killedLately tells whether the want of memory has shown already, which is another
// check's.
func (v server) killedLately(s *facts.Snapshot) bool {
	last, killed := v.outOfMemory()
	return killed && (v.container.State.Phase != facts.Running || s.Taken.Sub(last.Finished.Time()) < remembered)
}
