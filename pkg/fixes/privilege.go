package fixes

import (
	"errors"
	"fmt"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// AllowPrivilegeEscalation lets CoreDNS start under an old Docker with SELinux, at the
// price of the protection that no_new_privs gives.
var AllowPrivilegeEscalation = &Fix{
	ID:    "allow-privilege-escalation",
	Title: "Set allowPrivilegeEscalation: true for CoreDNS",
	For:   []*checks.Check{coredns.SELinuxDocker},
	Risk:  Restarts,
	Cost: "allowPrivilegeEscalation: true lets a process of the CoreDNS container gain more rights than it was started with " +
		"(set-uid programs, file capabilities); the Kubernetes documentation warns that it can compromise the security of the cluster." +
		" Updating Docker, or its SELinux policy, cures the fault without that.",
	Settle: 10 * time.Second,
	Plan:   planAllowPrivilegeEscalation,
	Doc: `Sets securityContext.allowPrivilegeEscalation of the CoreDNS containers to true, as the kubeadm documentation describes for
Docker 1.12 and 1.13 on hosts with SELinux: there, no_new_privs keeps the process from being executed at all.

It costs security and needs --accept-risk. kubeadm upgrade takes it back. The better cures are a current Docker (or
containerd) and an SELinux policy that allows the transition; neither can be made from here.`,
}

func planAllowPrivilegeEscalation(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	if why := s.Missing(facts.Deployments); why != "" {
		return Plan{}, fmt.Errorf("the Deployment could not be read: %s", why)
	}
	d := s.Deployment(f.Subject.Namespace, f.Subject.Name)
	if f.Subject.Kind != "Deployment" || d == nil {
		return Plan{}, errors.New("CoreDNS is not run by a Deployment here; change its pod template by hand")
	}
	edited := d.DeepCopy()
	changed := false
	for i := range edited.Spec.Template.Spec.Containers {
		c := &edited.Spec.Template.Spec.Containers[i]
		sc := c.SecurityContext
		if facts.DNSImage(c.Image) && sc != nil && sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation {
			*sc.AllowPrivilegeEscalation = true
			changed = true
		}
	}
	if !changed {
		return Plan{}, errors.New("no CoreDNS container of the Deployment has allowPrivilegeEscalation: false")
	}
	change, err := changeOf("Deployment", "apps/v1", d, edited)
	if err != nil {
		return Plan{}, err
	}
	return Plan{
		Changes: []Change{change}, Rollouts: []facts.Ref{f.Subject}, Restarts: crashing(s, f),
		Warnings: []string{"It lowers the security of the CoreDNS pods; take it back (kubectl netdoctor undo) once Docker is up to date."},
		Manual:   []string{"Update Docker on the nodes to a current version, or move them to containerd; then undo this repair."},
	}, nil
}
