package service

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

const (
	// patience is how old a Service must be: its pods are made and pull their images first.
	patience = 3 * time.Minute

	// settled is how long a container must have run after a crash to have got over it.
	settled = 5 * time.Minute

	// quoted is how many objects a finding quotes where all say the same.
	quoted = 3
)

// PodsNotReady finds Services none of whose pods is Ready, for a reason of the pods' own.
var PodsNotReady = &checks.Check{
	ID:       "service-pods-not-ready",
	Title:    "Of the pods of every Service one is Ready",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/#are-the-pods-working",
	Needs:    []*facts.Source{facts.Services, facts.Pods},
	MayUse:   []*facts.Source{facts.EndpointSlices, facts.Events, facts.Nodes, facts.Configz},
	Explains: []*checks.Check{symptom.ServiceNoEndpoints},
	ByHand: []string{"kubectl -n NAMESPACE get pods -l KEY=VALUE", "kubectl -n NAMESPACE describe pod POD",
		"kubectl -n NAMESPACE logs POD --all-containers --previous"},
	Run: findPodsNotReady,
	Doc: `A Service sends traffic to Ready pods alone. Its selector finds pods here, and none of them is Ready: connections to its
address are refused, although the network does what it should.

**How it comes about**: the readiness probe asks on a port where nothing listens, or a path that answers with an error; the program
waits for something else (a database, a name that does not resolve); it crashes; its image cannot be pulled; a volume or a Secret is
missing; no node has room for it.

Pods whose node is not Ready, and those that have no network yet (FailedCreatePodSandBox), are not told here: their cause lies deeper.
Nor are the network stack's own pods, which have checks of their own. For the first minute it is a warning, since pods may just start.

**Cure**: describe one of the pods; its events and the state of its containers say which of these it is. Where a probe fails, compare
its port and path with what the program listens on; where the program is slow, give the probe a longer timeoutSeconds (1 second unless set).`,
}

// ailment is why a pod is not Ready.
type ailment struct {
	words, remedy string
	own           bool // of the pod itself, and not of what it stands on
	from, text    string
}

func findPodsNotReady(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	probes, stack := probeEvents(s), map[*facts.Pod]bool{}
	for _, p := range slices.Concat(s.DNSPods(), s.KubeProxyPods()) {
		stack[p] = true
	}
	for _, svc := range selecting(s) {
		if svc.Spec.ClusterIP == corev1.ClusterIPNone || svc.Spec.PublishNotReadyAddresses || s.Taken.Sub(svc.CreationTimestamp.Time) < patience {
			continue
		}
		if ready, _ := s.ReadyEndpoints(svc); ready > 0 {
			continue
		}
		pods := slices.DeleteFunc(s.Selected(svc.Namespace, svc.Spec.Selector), func(p *facts.Pod) bool { return p.Finished() || p.Deleting || stack[p] })
		if len(pods) == 0 || slices.ContainsFunc(pods, func(p *facts.Pod) bool { return p.Ready }) {
			continue
		}
		if f := ailing(s, svc, pods, probes); f != nil {
			out = append(out, *f)
		}
	}
	return out
}

// ailing tells what most of the pods suffer from, of those whose trouble is their own.
func ailing(s *facts.Snapshot, svc *corev1.Service, pods []*facts.Pod, probes map[facts.Ref]*facts.Event) *checks.Finding {
	var kinds []ailment
	count := map[string]int{}
	old := false
	for _, p := range pods {
		old = old || lasting(s, p)
		a := ails(s, p, probes[p.Ref()])
		if a.own {
			kinds = append(kinds, a)
			count[a.words]++
		}
	}
	if len(kinds) == 0 {
		return nil
	}
	most := slices.MaxFunc(kinds, func(a, b ailment) int { return cmp.Compare(count[a.words], count[b.words]) })
	f := &checks.Finding{
		Subject:  facts.ServiceRef(svc),
		Message:  "has pods, none of which is Ready: " + most.words,
		Remedy:   most.remedy,
		Evidence: []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String(), fmt.Sprintf("pods: %d, Ready: 0", len(pods)))},
	}
	if !old {
		f.Severity = checks.Warning // they may just be starting
	}
	for _, a := range kinds {
		if a.words == most.words && len(f.Evidence) <= quoted {
			f.Evidence = append(f.Evidence, checks.Quote(a.from, a.text))
		}
	}
	return f
}

// lasting tells whether a pod has had its time to get Ready.
func lasting(s *facts.Snapshot, p *facts.Pod) bool {
	since := max(p.Created, p.ReadySince)
	return s.Taken.Sub(since.Time()) >= grace || slices.ContainsFunc(p.Containers, func(c facts.Container) bool { return c.Restarts > 0 })
}

// ails tells why a pod is not Ready.
func ails(s *facts.Snapshot, p *facts.Pod, probe *facts.Event) ailment {
	if n := s.Node(p.Node); plugins.Agent(p) != nil || n != nil && !nodeReady(n) {
		return ailment{}
	}
	if p.Unschedulable() != "" {
		return unplaced(p)
	}
	if a := containerAilment(s, p); a.own {
		return a
	}
	if !running(p) {
		return waiting(s, p)
	}
	if probe != nil {
		a := probed(probe.Message)
		a.from, a.text = p.Ref().String()+", event "+probe.Reason, probe.Message
		return a
	}
	return ailment{
		own: lasting(s, p), words: "they run and do not become Ready", from: p.Ref().String(), text: "running, not Ready",
		remedy: "Describe one of the pods: its readiness probe, its readiness gates and its events say what it waits for.",
	}
}

func nodeReady(n *corev1.Node) bool {
	c := facts.NodeReady(n)
	return c != nil && c.Status == corev1.ConditionTrue
}

// unplaced tells of a pod that the scheduler finds no node for. Where it is kept off
// nodes because they are ill, these are the cause.
func unplaced(p *facts.Pod) ailment {
	why := p.Unschedulable()
	ill := strings.Contains(why, corev1.TaintNodeNotReady) || strings.Contains(why, corev1.TaintNodeUnreachable) || strings.Contains(why, corev1.TaintNodeNetworkUnavailable)
	return ailment{
		own: !ill, words: "the scheduler finds no node for them", from: p.Ref().String() + ", condition PodScheduled", text: why,
		remedy: "Do what the scheduler's words ask for: make room, or change the pods' requests, node selector or tolerations.",
	}
}

// containerAilment tells of containers that crash or cannot be made.
func containerAilment(s *facts.Snapshot, p *facts.Pod) ailment {
	for i := range p.Containers {
		c := &p.Containers[i]
		from := fmt.Sprintf("%s, container %s", p.Ref(), c.Name)
		if c.State.Phase == facts.Waiting {
			if a := refused(c.State.Reason); a.own {
				a.from, a.text = from, strings.TrimSuffix(c.State.Reason+": "+c.State.Message, ": ")
				return a
			}
		}
	}
	if p.Crashing() != nil || p.Unsettled(s.Taken, settled) {
		return crashed(p)
	}
	return ailment{}
}

// refused tells of a container that the kubelet cannot start, by the reason that it
// waits for (k8s.io/kubernetes, pkg/kubelet/images and pkg/kubelet/kuberuntime).
func refused(reason string) ailment {
	switch reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
		return ailment{own: true, words: "their image cannot be pulled", remedy: "Correct the image's name, or give the nodes access to its registry (imagePullSecrets)."}
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError":
		return ailment{own: true, words: "their containers cannot be started", remedy: "Correct what the quoted words name: a ConfigMap or Secret that is missing, or a command that is not in the image."}
	}
	return ailment{}
}

func crashed(p *facts.Pod) ailment {
	c := p.Crashing()
	if c == nil {
		c = &p.Containers[slices.IndexFunc(p.Containers, func(c facts.Container) bool { return c.Last().ExitCode != 0 })]
	}
	last := c.Last()
	if c.State.Phase == facts.Terminated {
		last = c.State
	}
	a := ailment{
		own: true, words: "they crash", from: fmt.Sprintf("%s, container %s", p.Ref(), c.Name),
		text:   fmt.Sprintf("restarted %d times, last exit: %s, code %d", c.Restarts, last.Reason, last.ExitCode),
		remedy: "Read the last words of the container in its previous log: kubectl logs --previous.",
	}
	if last.Reason == "OOMKilled" {
		a.words, a.remedy = "they are killed for want of memory", "Raise the memory limit of the container, or find what it fills its memory with."
	}
	return a
}

// running tells whether every container of a pod has started, and the init containers
// are through.
func running(p *facts.Pod) bool {
	return len(p.Containers) > 0 && !slices.ContainsFunc(p.Containers, func(c facts.Container) bool {
		return c.State.Phase != facts.Running && (!c.Init || c.Restartable || c.State.Phase != facts.Terminated)
	})
}

// waiting tells of a pod whose containers have not started. Without a network they
// cannot, and then the cause is not its own.
func waiting(s *facts.Snapshot, p *facts.Pod) ailment {
	for i := range p.Containers {
		if c := &p.Containers[i]; c.Init && !c.Restartable && c.State.Phase == facts.Running {
			return ailment{
				own: lasting(s, p), words: "they wait for an init container to end", from: fmt.Sprintf("%s, init container %s", p.Ref(), c.Name), text: "running",
				remedy: "Read the log of the init container: it often waits for another Service or a name.",
			}
		}
	}
	if e := s.LastWarning(p.Ref()); e != nil && (e.Reason == "FailedMount" || e.Reason == "FailedAttachVolume") {
		return ailment{
			own: true, words: "they wait for a volume", from: p.Ref().String() + ", event " + e.Reason, text: e.Message,
			remedy: "Make the volume, ConfigMap or Secret that the event names, or correct its name in the pod template.",
		}
	}
	return ailment{}
}

// probeEvents returns the newest event of a failed readiness probe of each pod.
func probeEvents(s *facts.Snapshot) map[facts.Ref]*facts.Event {
	out := map[facts.Ref]*facts.Event{}
	for _, e := range s.EventsOf("Unhealthy") {
		if strings.HasPrefix(e.Message, "Readiness probe ") && (out[e.About] == nil || e.Seen > out[e.About].Seen) {
			out[e.About] = e
		}
	}
	return out
}

var (
	httpStatus = regexp.MustCompile(`HTTP probe failed with statuscode: (\d+)`)
	noListener = regexp.MustCompile(`connect: connection refused`)
	noAnswer   = regexp.MustCompile(`context deadline exceeded|Client\.Timeout exceeded|i/o timeout|timed out|timeout: failed to connect`)
)

// probed sorts what kubelets say of a failed probe (k8s.io/kubernetes, pkg/probe).
func probed(message string) ailment {
	a := ailment{own: true, words: "their readiness probe fails", remedy: "Read the quoted words and the log of the pods for what the program waits for."}
	switch m := httpStatus.FindStringSubmatch(message); {
	case m != nil:
		a.words = "they answer their readiness probe with HTTP status " + m[1]
		a.remedy = "Read the log of the pods for why the program calls itself not ready, and compare the probe's path with the program's."
	case noListener.MatchString(message):
		a.words = "nothing listens on the port that their readiness probe asks"
		a.remedy = "Compare the readiness probe's port with the one that the program listens on, on all addresses and not on 127.0.0.1 alone."
	case noAnswer.MatchString(message):
		a.words = "their readiness probe gets no answer in time"
		a.remedy = "Raise the probe's timeoutSeconds if the program is only slow; else read the log of the pods for what it waits for."
	}
	return a
}
