package coredns

import (
	"regexp"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// SELinuxDocker finds CoreDNS pods that an old Docker on a node with SELinux cannot
// start.
var SELinuxDocker = &checks.Check{
	ID:       "coredns-selinux-docker",
	Title:    "The container runtime may start CoreDNS",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/troubleshooting-kubeadm/#coredns-pods-have-crashloopbackoff-or-error-state",
	Needs:    []*facts.Source{facts.SystemPods, facts.Nodes, facts.PodLogs},
	Parts:    failingLogs,
	Explains: []*checks.Check{symptom.PodNotReady, symptom.DNSServiceNoEndpoints},
	ByHand: []string{"kubectl -n kube-system logs -l k8s-app=kube-dns --previous", "kubectl get nodes -o wide",
		"kubectl -n kube-system get deployment coredns -o yaml"},
	Run: findSELinuxDocker,
	Doc: `Docker up to 17 on a node with SELinux in enforcing mode cannot start a program in a container that forbids
privilege escalation (` + "`allowPrivilegeEscalation: false`" + `, which sets no_new_privs): SELinux refuses the change of domain,
the container ends at once with "operation not permitted", and CoreDNS never comes up. CentOS 7 with its own Docker
package (1.13) is the usual place; the same words from containerd or a later Docker mean something else.

Cures, the best first: a newer container runtime (containerd, or Docker 18.09 and later); a SELinux policy that allows it;
` + "`allowPrivilegeEscalation: true`" + ` for the CoreDNS container, which weakens the cluster's security and which the next
` + "`kubeadm upgrade`" + ` takes back.`,
}

var (
	execRefused = regexp.MustCompile(`standard_init_linux\.go:\d+: exec user process caused:? "?(?:operation not permitted|permission denied)`)
	oldDocker   = regexp.MustCompile(`^docker://(?:1\.|17\.)`)
)

// findSELinuxDocker asks for all three at once: the refusal, an old Docker, and the
// setting that brings both together.
func findSELinuxDocker(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, v := range failing(s) {
		n, escalation := s.Node(v.pod.Node), v.container.AllowPrivilegeEscalation
		if n == nil || !oldDocker.MatchString(n.Status.NodeInfo.ContainerRuntimeVersion) || escalation == nil || *escalation {
			continue
		}
		line, found := refusalTold(s, v)
		if !found {
			continue
		}
		f := checks.Finding{
			Subject: owner(v.pod),
			Message: "cannot be started by an old Docker under SELinux",
			Evidence: []checks.Evidence{v.quote(line),
				checks.Quote("Node "+n.Name+", containerRuntimeVersion", n.Status.NodeInfo.ContainerRuntimeVersion),
				checks.Quote(v.pod.Ref().String()+", container "+v.container.Name, "allowPrivilegeEscalation: false")},
			Remedy: "Install a newer container runtime on the nodes, or a SELinux policy that lets it start the process. " +
				"allowPrivilegeEscalation: true for the CoreDNS container helps as well, at the price of security.",
			Places: []facts.Ref{v.pod.Ref()},
		}
		if last := len(out) - 1; last >= 0 && out[last].Subject == f.Subject {
			out[last].Evidence = append(out[last].Evidence, f.Evidence...)
			out[last].Places = append(out[last].Places, f.Places...)
			continue
		}
		out = append(out, f)
	}
	return out
}

func refusalTold(s *facts.Snapshot, v server) (said, bool) {
	for _, w := range v.words(s) {
		if execRefused.MatchString(w.text) {
			return w, true
		}
	}
	return said{}, false
}
