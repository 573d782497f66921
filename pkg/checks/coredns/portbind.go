package coredns

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// PortBind finds CoreDNS that exits because it cannot open a port.
var PortBind = &checks.Check{
	ID:       "coredns-port-bind",
	Title:    "CoreDNS can open the ports that it listens on",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#set-capabilities-for-a-container",
	Needs:    []*facts.Source{facts.SystemPods, facts.PodLogs},
	MayUse:   []*facts.Source{facts.SystemDeployments, facts.SystemEvents, facts.Nodes},
	Parts:    failingLogs,
	Explains: []*checks.Check{symptom.PodNotReady, symptom.DNSServiceNoEndpoints},
	ByHand: []string{"kubectl -n kube-system logs -l k8s-app=kube-dns --previous",
		"kubectl -n kube-system get deployment coredns -o yaml", "ss -lntup 'sport = :53' # on the node"},
	Run: findPortBind,
	Doc: `CoreDNS opens its ports when it starts and exits if one is refused ("listen tcp :53: bind: …"), so its pods crash.

**permission denied**: a port below 1024 needs the capability NET_BIND_SERVICE, or the sysctl
` + "`net.ipv4.ip_unprivileged_port_start`" + ` at that port or below, as some runtimes set it for every pod (containerd:
` + "`enable_unprivileged_ports`" + `). CoreDNS's image runs without root since 1.11. It comes about by a hardened
securityContext that drops ALL and adds nothing back, by a policy that rewrites pods, or by a move to a runtime without that
setting. Cure: ` + "`capabilities: {add: [NET_BIND_SERVICE], drop: [ALL]}`" + `, which is what kubeadm writes.
The sysctl in the pod's securityContext does it as well, on kernels from 4.11 on: on older ones, such as that of CentOS 7, no
pod with it starts at all ("open /proc/sys/net/ipv4/ip_unprivileged_port_start: no such file or directory").

**address already in use**: another process has the port. On the host's network that is systemd-resolved, dnsmasq or another
DNS server of the node; in a pod of its own, another container of the same pod, or two plugins of the Corefile that were
given one port. Cure: stop the other, let CoreDNS listen on certain addresses alone (the plugin **bind**), or take it off the
host's network.`,
}

// bindRefused matches the error of Go's package net, which CoreDNS ends with. The
// address is ":53", "127.0.0.1:53" or "[::1]:53".
var bindRefused = regexp.MustCompile(`listen (tcp|udp)[46]? \S*:(\d+): bind: (permission denied|address already in use)`)

func findPortBind(s *facts.Snapshot) []checks.Finding {
	fleet := newFleet(s)
	var out []checks.Finding
	for _, v := range fleet.servers {
		if v.pod.Deleting || !v.failing(s) {
			continue
		}
		if line, port, why := v.bindRefused(s); why != "" {
			out = told(out, fleet.unbound(v, line, port, why))
		}
	}
	for _, v := range fleet.servers {
		if e := noSysctl(s, v.pod); e != nil {
			out = told(out, fleet.sysctlMissing(s, v, e))
		}
	}
	return fleet.grade(out)
}

// bindRefused returns the line with which a server ends because it may not open a port, and
// the kernel's reason.
func (v server) bindRefused(s *facts.Snapshot) (line said, port, why string) {
	for _, w := range v.words(s) {
		if m := bindRefused.FindStringSubmatch(w.text); m != nil && !notStart.MatchString(w.text) {
			return w, m[2], m[3]
		}
	}
	return said{}, "", ""
}

const permissionDenied = "permission denied"

// MayNotOpen returns the port that a pod of CoreDNS lacks the right to open, or "".
func MayNotOpen(s *facts.Snapshot, p *facts.Pod) string {
	for _, v := range servers(s) {
		if _, port, why := v.bindRefused(s); v.pod == p && why == permissionDenied {
			return port
		}
	}
	return ""
}

// WithoutSysctl tells whether a pod does not start because its node's kernel does not have
// PortSysctl.
func WithoutSysctl(s *facts.Snapshot, p *facts.Pod) bool { return noSysctl(s, p) != nil }

// PortSysctl is the setting that lets every user open low ports; Linux has it since 4.11.
const PortSysctl = "net.ipv4.ip_unprivileged_port_start"

// noSysctl returns the event by which a pod does not start because its node's kernel does
// not have that setting, or nil.
func noSysctl(s *facts.Snapshot, p *facts.Pod) *facts.Event {
	if p.Phase != corev1.PodPending || p.Node == "" || p.Deleting {
		return nil
	}
	e := s.LastWarning(p.Ref())
	if e == nil || e.Reason != "FailedCreatePodSandBox" || s.Taken.Sub(e.Seen.Time()) > lately ||
		!strings.Contains(e.Message, "/proc/sys/"+strings.ReplaceAll(PortSysctl, ".", "/")+": no such file") {
		return nil
	}
	return e
}

// lately is how old an event may be that tells of a pod that still does not start: the
// kubelet tries again every few seconds.
const lately = 10 * time.Minute

func (f *fleet) sysctlMissing(s *facts.Snapshot, v server, e *facts.Event) checks.Finding {
	out := checks.Finding{
		Subject: owner(v.pod), Places: []facts.Ref{v.pod.Ref()},
		Message:  "does not start: it asks for the sysctl " + PortSysctl + ", which the kernel of its node does not have",
		Evidence: []checks.Evidence{checks.Quote(v.pod.Ref().String()+", event "+e.Reason, e.Message)},
		Remedy: "Take the sysctl out of the pods' securityContext and give the CoreDNS container the capability NET_BIND_SERVICE instead " +
			"(capabilities: {add: [NET_BIND_SERVICE], drop: [ALL]}), or run CoreDNS on nodes with a kernel from 4.11 on.",
	}
	if n := s.Node(v.pod.Node); n != nil {
		out.Evidence = append(out.Evidence, checks.Quote(facts.NodeRef(n.Name).String(), "kernelVersion: "+n.Status.NodeInfo.KernelVersion))
	}
	if spec := f.template(v.pod); spec != nil {
		out.Evidence = append(out.Evidence, f.sysctls(v, spec)...)
	}
	return out
}

// sysctls quotes what the Deployment sets of that setting.
func (f *fleet) sysctls(v server, spec *corev1.PodSpec) []checks.Evidence {
	var out []checks.Evidence
	if spec.SecurityContext == nil {
		return nil
	}
	for _, sysctl := range spec.SecurityContext.Sysctls {
		if sysctl.Name == PortSysctl {
			out = append(out, checks.Quote(owner(v.pod).String(), "securityContext.sysctls: "+sysctl.Name+"="+sysctl.Value))
		}
	}
	return out
}

func (f *fleet) unbound(v server, line said, port, why string) checks.Finding {
	out := checks.Finding{Subject: owner(v.pod), Evidence: []checks.Evidence{v.quote(line)}, Places: []facts.Ref{v.pod.Ref()}}
	switch {
	case why == permissionDenied:
		out.Message = "crashes: CoreDNS may not open port " + port
		evidence, lacks := f.rights(v)
		out.Evidence = append(out.Evidence, evidence...)
		out.Remedy = fmt.Sprintf("Give the CoreDNS container the capability NET_BIND_SERVICE again (securityContext.capabilities.add), which a user other than root needs for port %s.", port)
		if !lacks {
			out.Remedy = fmt.Sprintf("See in the Deployment what takes the right away: the capability NET_BIND_SERVICE must reach the process, or the pod's sysctl net.ipv4.ip_unprivileged_port_start be %s or less.", port)
		}
	case v.pod.HostNetwork:
		out.Message = "crashes: another process of its node has port " + port
		out.Remedy = fmt.Sprintf("See on the node what has the port (ss -lntup 'sport = :%s'): systemd-resolved, dnsmasq or another DNS server. "+
			"Stop that, let CoreDNS listen on certain addresses alone with the plugin bind, or take it off the host's network.", port)
	default:
		out.Message = "crashes: something else in its own pod has port " + port
		out.Remedy = fmt.Sprintf("Look for another container of the pod, or another plugin or block of the Corefile, that listens on port %s, and give one of them another.", port)
	}
	return out
}

// rights quotes what the Deployment says of the right to open low ports. lacks tells that
// it takes the right away, as far as that is known.
func (f *fleet) rights(v server) (evidence []checks.Evidence, lacks bool) {
	spec, pod := f.container(v), f.template(v.pod)
	if spec == nil {
		return nil, true // the usual reason
	}
	from := containerOf(owner(v.pod), spec.Name)
	if sc := spec.SecurityContext; sc != nil && sc.Capabilities != nil {
		c := sc.Capabilities
		lacks = LacksNetBind(spec)
		evidence = append(evidence, checks.Quote(from, fmt.Sprintf("securityContext.capabilities: add %v, drop %v", c.Add, c.Drop)))
	}
	evidence = append(evidence, f.sysctls(v, pod)...)
	return evidence, lacks
}

// LacksNetBind tells whether a container is denied the capability to open low ports.
func LacksNetBind(c *corev1.Container) bool {
	if c.SecurityContext == nil || c.SecurityContext.Capabilities == nil {
		return false
	}
	has := c.SecurityContext.Capabilities
	return names(has.Drop, "ALL", "NET_BIND_SERVICE") && !names(has.Add, "ALL", "NET_BIND_SERVICE")
}

// names tells whether capabilities hold one of these, in any of the spellings that
// runtimes take.
func names(list []corev1.Capability, oneOf ...string) bool {
	return slices.ContainsFunc(list, func(c corev1.Capability) bool {
		return slices.Contains(oneOf, strings.TrimPrefix(strings.ToUpper(string(c)), "CAP_"))
	})
}
