package fixes

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CoreDNSPolicy gives CoreDNS the nameservers of its nodes.
var CoreDNSPolicy = &Fix{
	ID:     "coredns-dnspolicy",
	Title:  "Give CoreDNS's pods the nameservers of their nodes (dnsPolicy: Default)",
	For:    []*checks.Check{coredns.DNSPolicy},
	Risk:   Restarts,
	Settle: loopWindow,
	Plan:   planCoreDNSPolicy,
	Doc: `Sets dnsPolicy of the pod template to Default, which is what every installer of CoreDNS writes:
` + "`forward . /etc/resolv.conf`" + ` then asks the nameservers of the node instead of the cluster's own DNS Service. The
rollout makes the pods anew one after another; then it is watched as long as the plugin loop takes to find a loop.

It does not cure a node whose resolv.conf itself leads back to CoreDNS, such as to the local server of systemd-resolved: that
shows as coredns-loop, and the repair is taken back. A chart or an add-on with a value of its own for dnsPolicy writes that
again.`,
}

func planCoreDNSPolicy(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	was, edited, err := templateOf(s, f.Subject)
	if err != nil {
		return Plan{}, err
	}
	spec := &edited.Spec.Template.Spec
	if spec.DNSPolicy == corev1.DNSDefault {
		return Plan{}, fmt.Errorf("the template of %s says dnsPolicy: Default already, and these pods are of before: kubectl -n %s rollout status deployment %s",
			f.Subject, checks.ShellWord(was.Namespace), checks.ShellWord(was.Name))
	}
	spec.DNSPolicy = corev1.DNSDefault
	plan, err := rollout(was, edited)
	if err != nil {
		return Plan{}, err
	}
	plan.Warnings = []string{"A resolv.conf of the nodes that itself leads back to CoreDNS: then coredns-loop tells so next."}
	return plan, nil
}
