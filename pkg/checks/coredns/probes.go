package coredns

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Readiness finds CoreDNS that can never become Ready, because nothing answers its
// readiness probe.
var Readiness = &checks.Check{
	ID:       "coredns-readiness",
	Title:    "The plugin ready answers where CoreDNS's readiness probe asks",
	Severity: checks.Error,
	URL:      "https://coredns.io/plugins/ready/",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps, facts.SystemDeployments},
	MayUse:   []*facts.Source{facts.SystemEvents},
	Explains: []*checks.Check{symptom.PodNotReady, symptom.DNSServiceNoEndpoints},
	ByHand: []string{"kubectl -n kube-system describe pods -l k8s-app=kube-dns",
		"kubectl -n kube-system get configmap coredns -o yaml"},
	Run: func(s *facts.Snapshot) []checks.Finding { return findUnanswered(s, readiness()) },
	Doc: `The kubelet asks CoreDNS at :8181/ready whether it serves, and the plugin **ready** answers. Without that word in the
Corefile nobody does: CoreDNS runs and would serve, but is never Ready, and its Service has no endpoint. The same happens
where the plugin listens on another port than the probe asks, or on a loopback address. Pods that are Ready stay so only
until the Corefile is read again: then it is told as a warning before.

It comes about when a Corefile from before Kubernetes 1.16 (CoreDNS 1.5), or one written by hand, meets a newer Deployment.

Cure: write ` + "`ready`" + ` into the server block of zone "." (one block is enough), or let the readiness probe ask the port that
stands behind the word. CoreDNS reads the file again within two minutes where it has the plugin **reload**, else restart it.`,
}

// Liveness finds CoreDNS that is killed because nothing answers its liveness probe, or
// not in time.
var Liveness = &checks.Check{
	ID:       "coredns-liveness",
	Title:    "CoreDNS answers its liveness probe",
	Severity: checks.Error,
	URL:      "https://coredns.io/plugins/health/",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps, facts.SystemDeployments},
	MayUse:   []*facts.Source{facts.SystemEvents, facts.PodLogs},
	Explains: []*checks.Check{symptom.PodNotReady, symptom.DNSServiceNoEndpoints},
	ByHand: []string{"kubectl -n kube-system describe pods -l k8s-app=kube-dns",
		"kubectl -n kube-system get configmap coredns -o yaml"},
	Run: func(s *facts.Snapshot) []checks.Finding { return append(findUnanswered(s, liveness()), findSlow(s)...) },
	Doc: `The kubelet asks CoreDNS at :8080/health whether it lives, and the plugin **health** answers. Without that word in the
Corefile, or where it listens on another port than the probe asks or on a loopback address, the kubelet kills the container
again and again: with kubeadm's probe about two minutes after each start. In between CoreDNS serves, so names resolve, then
do not.

It comes about by a Corefile written by hand, or by a port changed in one place of two. Another way is want of CPU: the answer
comes after the probe's timeout, and CoreDNS, which asks itself each second, logs that it is late for itself.

Cure: write ` + "`health { lameduck 5s }`" + ` into one server block of the Corefile (the word may stand in several only with different
ports), or let the liveness probe ask the port that stands behind it; then restart CoreDNS. Against want of CPU: a larger
` + "`resources.requests.cpu`" + `, no tight limit, and less load on the node.`,
}

// probe is what a kubelet asks CoreDNS, and the plugin that answers.
type probe struct {
	plugin, port string // and the port where it listens if the Corefile says none
	name         string // as the kubelet's events call it
	of           func(*corev1.Container) *corev1.Probe
	now, later   string // what it does to CoreDNS that nothing answers

	// hurts tells whether that has come about for a server; event is the newest failure.
	hurts func(v server, event *facts.Event) bool
}

func readiness() probe {
	return probe{plugin: "ready", port: "8181", name: "Readiness",
		now: "keeps CoreDNS from becoming Ready: ", later: "will keep CoreDNS from becoming Ready when it is next read: ",
		of:    func(c *corev1.Container) *corev1.Probe { return c.ReadinessProbe },
		hurts: func(v server, _ *facts.Event) bool { return !v.pod.Ready }}
}

func liveness() probe {
	return probe{plugin: "health", port: "8080", name: "Liveness",
		now: "gets CoreDNS killed by its liveness probe: ", later: "will get CoreDNS killed by its liveness probe when it is next read: ",
		of: func(c *corev1.Container) *corev1.Probe { return c.LivenessProbe },
		hurts: func(v server, event *facts.Event) bool {
			return v.container.Restarts > 0 && (event != nil || v.stopped())
		}}
}

// stopped tells whether a server ended by a signal: CoreDNS obeys SIGTERM with exit code
// 0, and the kernel's killing for want of memory has a reason of its own.
func (v server) stopped() bool {
	last := v.container.Last()
	return last.Phase == facts.Terminated && last.Reason != "OOMKilled" && slices.Contains([]int32{0, 137, 143}, last.ExitCode)
}

func findUnanswered(s *facts.Snapshot, q probe) []checks.Finding {
	fleet, events := newFleet(s), probeEvents(s, q.name+" probe failed: ")
	var now, later []checks.Finding
	for _, v := range fleet.servers {
		cm, text := configOf(s, v.pod)
		spec := fleet.container(v)
		if v.pod.Deleting || cm == nil || spec == nil {
			continue
		}
		asked := q.asks(spec)
		wrong, remedy := q.wrong(text, asked, v.container.Image)
		if wrong == "" {
			continue
		}
		event := events[v.pod.Ref()]
		f := checks.Finding{Subject: configRef(cm), Places: []facts.Ref{v.pod.Ref()}, Remedy: remedy, Message: q.now + wrong,
			Evidence: []checks.Evidence{checks.Quote(containerOf(owner(v.pod), spec.Name), fmt.Sprintf("probe %s: httpGet /%s, port %s", strings.ToLower(q.name), q.plugin, asked))}}
		if event != nil {
			f.Evidence = append(f.Evidence, checks.Quote(v.pod.Ref().String()+", event "+event.Reason, event.Message))
		}
		runs := v.container.State.Phase == facts.Running && s.Taken.Sub(v.container.State.Started.Time()) >= grace
		switch {
		case q.hurts(v, event) && (runs || q.plugin == "health"):
			now = told(now, f)
		case runs && !q.hurts(v, event):
			f.Message = q.later + wrong
			later = told(later, f)
		}
	}
	return fleet.together(now, later)
}

func probeEvents(s *facts.Snapshot, begin string) map[facts.Ref]*facts.Event {
	out := map[facts.Ref]*facts.Event{}
	for _, e := range s.EventsOf("Unhealthy") {
		if known := out[e.About]; strings.HasPrefix(e.Message, begin) && (known == nil || e.Seen >= known.Seen) {
			out[e.About] = e
		}
	}
	return out
}

// asks returns the port where a container's probe asks the plugin, or "" where it asks
// something else.
func (q probe) asks(spec *corev1.Container) string {
	p := q.of(spec)
	if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != "/"+q.plugin || p.HTTPGet.Host != "" {
		return ""
	}
	port := p.HTTPGet.Port
	if port.Type == intstr.Int {
		return port.String()
	}
	for _, own := range spec.Ports {
		if own.Name == port.StrVal {
			return strconv.Itoa(int(own.ContainerPort))
		}
	}
	return ""
}

// wrong says why nothing answers at a port, and what to do; "" where something does or
// may.
func (q probe) wrong(text, asked, image string) (why, remedy string) {
	file, err := corefile.Parse(text)
	if asked == "" || err != nil || len(file.Imports) > 0 || version(image) != nil && !reached(version(image), "1.5.0") {
		return "", ""
	}
	var elsewhere string
	for _, b := range file.Blocks {
		for _, d := range b.Find(q.plugin) {
			host, port, known := q.listens(d)
			if !known || port == asked && !loopback(host) {
				return "", ""
			}
			elsewhere = strings.Join(append([]string{q.plugin}, d.Args...), " ")
		}
	}
	if elsewhere == "" {
		return "it lacks the plugin " + q.plugin, fmt.Sprintf("Write %s into the server block of zone \".\" in the Corefile, and restart CoreDNS where it does not reload.", q.plugin)
	}
	return fmt.Sprintf("it says %q, and the probe asks port %s of the pod's address", elsewhere, asked),
		fmt.Sprintf("Write %s :%s in the Corefile in place of %q, or let the %s probe ask where it listens.", q.plugin, asked, elsewhere, strings.ToLower(q.name))
}

// listens returns where a plugin listens; known is false where the environment decides.
func (q probe) listens(d *corefile.Directive) (host, port string, known bool) {
	if len(d.Args) == 0 {
		return "", q.port, true
	}
	host, port, err := net.SplitHostPort(d.Args[0])
	return host, port, err == nil && !corefile.Placeholder(d.Args[0])
}

// Answers returns the server's container in a pod and the only port where the plugin listens that
// answers the probe of a check, Readiness or Liveness; "" where there is none that a kubelet reaches, or several.
func Answers(s *facts.Snapshot, p *facts.Pod, check *checks.Check) (container, port string) {
	q := readiness()
	if check == Liveness {
		q = liveness()
	}
	_, text := configOf(s, p)
	file, err := corefile.Parse(text)
	if err != nil || len(file.Imports) > 0 {
		return "", ""
	}
	for _, b := range file.Blocks {
		for _, d := range b.Find(q.plugin) {
			host, listens, known := q.listens(d)
			if !known || port != "" && listens != port || loopback(host) {
				return "", ""
			}
			port = listens
		}
	}
	for _, v := range servers(s) {
		if v.pod == p && port != "" {
			return v.container.Name, port
		}
	}
	return "", ""
}

// loopback tells whether a plugin that listens on a host is out of the kubelet's reach.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
