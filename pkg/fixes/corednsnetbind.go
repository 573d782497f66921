package fixes

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CoreDNSNetBind gives CoreDNS back the right to open port 53.
var CoreDNSNetBind = &Fix{
	ID:     "coredns-netbind-cap",
	Title:  "Give CoreDNS the capability NET_BIND_SERVICE",
	For:    []*checks.Check{coredns.PortBind},
	Risk:   Restarts,
	Settle: 10 * time.Second,
	Plan:   planCoreDNSNetBind,
	Doc: `Adds NET_BIND_SERVICE to the capabilities of the CoreDNS container where they are dropped, as kubeadm's manifest has it:
the one right that a user other than root needs to open a port below 1024. Every other capability stays dropped. Where the pods
ask for the sysctl net.ipv4.ip_unprivileged_port_start and their node's kernel does not have it, that is taken out as well. The
rollout makes the pods anew.

It does not cure a port that another process has, nor a right that something else takes away: a policy that rewrites pods, an
image without file capabilities, SELinux. Where the template denies nothing it is refused; where more than that is wrong, it does
not verify and is taken back. A tool that hardens manifests writes its own securityContext again.`,
}

func planCoreDNSNetBind(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	port, sysctl := unopened(s, f)
	if port == "" && !sysctl {
		return Plan{}, errors.New("another process has the port, which no right cures: stop it, let CoreDNS listen on certain addresses alone (the plugin bind), or take it off the host's network")
	}
	if n, err := strconv.Atoi(port); !sysctl && (err != nil || n >= 1024) {
		return Plan{}, fmt.Errorf("port %s needs no capability; something else forbids it, such as SELinux on the node", port)
	}
	was, edited, err := templateOf(s, f.Subject)
	if err != nil {
		return Plan{}, err
	}
	spec := &edited.Spec.Template.Spec
	c, err := dnsContainer(spec)
	if err != nil {
		return Plan{}, err
	}
	switch took := sysctl && dropSysctl(spec); {
	case sysctl && !took:
		return Plan{}, fmt.Errorf("the template does not ask for the sysctl %s: something that rewrites pods does; change it there", coredns.PortSysctl)
	case coredns.LacksNetBind(c):
		c.SecurityContext.Capabilities.Add = append(c.SecurityContext.Capabilities.Add, "NET_BIND_SERVICE")
	case !sysctl:
		return Plan{}, fmt.Errorf("container %s is not denied NET_BIND_SERVICE in the template: see what takes the right away, such as a policy that rewrites pods or an image without file capabilities: kubectl -n %s get pods -o yaml",
			c.Name, checks.ShellWord(was.Namespace))
	}
	return rollout(was, edited)
}

// unopened says what the finding's pods are refused: a port for want of a right, or a sysctl
// that their kernel does not have.
func unopened(s *facts.Snapshot, f checks.Finding) (port string, sysctl bool) {
	for _, p := range podsOf(s, f) {
		if port == "" {
			port = coredns.MayNotOpen(s, p)
		}
		sysctl = sysctl || coredns.WithoutSysctl(s, p)
	}
	return port, sysctl && port == ""
}

// dropSysctl takes the setting of low ports out of a template and tells whether it was there.
func dropSysctl(spec *corev1.PodSpec) bool {
	if spec.SecurityContext == nil {
		return false
	}
	n := len(spec.SecurityContext.Sysctls)
	left := slices.DeleteFunc(spec.SecurityContext.Sysctls, func(c corev1.Sysctl) bool { return c.Name == coredns.PortSysctl })
	if len(left) == 0 {
		left = nil
	}
	spec.SecurityContext.Sysctls = left
	return len(left) < n
}
