package fixes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CorefileZone lets CoreDNS serve the domain that the kubelets give to pods.
var CorefileZone = &Fix{
	ID:     "corefile-zone",
	Title:  "Serve the kubelets' cluster domain",
	For:    []*checks.Check{coredns.ZoneMismatch},
	Risk:   Harmless,
	Settle: 5 * time.Second,
	Plan:   planCorefileZone,
	Doc: `Writes the cluster domain of the kubelets in front of the zones of the plugin kubernetes in the Corefile. The zones that it serves stay, so that
names that somebody has built in live on; nothing else in the text changes. Where a brace too many ends the block early, so that the plugin came into
another, that brace is taken out instead.

It is refused where the kubelets do not agree on one domain, where several plugins kubernetes could be meant, and where none is in a block that
covers the domain. If the kubelets are what is wrong, the lasting cure is clusterDomain in their configuration, which the plan prints; it can
be made afterwards as well, since both domains are served then.`,
}

func planCorefileZone(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	cm, text, err := corefileSubject(s, f)
	if err != nil {
		return Plan{}, err
	}
	if err := starts(s, f); err != nil {
		return Plan{}, err
	}
	domain := coredns.KubeletDomain(s)
	if domain == "" {
		return Plan{}, errors.New("the kubelets do not agree on one cluster domain: which of them is wrong, only a person can say")
	}
	if why := validation.IsDNS1123Subdomain(domain); len(why) > 0 {
		return Plan{}, fmt.Errorf("the kubelets' cluster domain %q is no domain: %s", domain, why[0])
	}
	if edited := braceRight(text); edited != "" && servedBy(edited, domain) {
		return corefilePlan(s, f, cm, edited)
	}
	var served []string
	edited, err := editedCorefile(text, func(e *corefile.Editor) error {
		d, err := servesIn(e.File, domain)
		if err != nil {
			return err
		}
		served = slices.DeleteFunc(slices.Clone(d.Args), func(zone string) bool { return strings.HasSuffix(strings.TrimSuffix(zone, "."), ".arpa") })
		return e.AddArg(d, domain)
	})
	if err != nil {
		return Plan{}, inConfigMap(cm, err)
	}
	plan, err := corefilePlan(s, f, cm, edited)
	if len(served) > 0 {
		plan.Manual = append(plan.Manual, fmt.Sprintf("If %q, and not %q, is the cluster's domain: set clusterDomain in /var/lib/kubelet/config.yaml of the nodes to that, "+
			"systemctl restart kubelet, and make the pods anew.", strings.Join(served, " "), domain))
	}
	return plan, err
}

// braceRight returns the Corefile without the misplaced brace because of which its blocks
// make no sense, "" where there is none.
func braceRight(text string) string {
	file, err := corefile.Parse(text)
	if err != nil || corefile.Plausible(file) {
		return ""
	}
	edited, err := corefile.CorrectBrace(text)
	if err != nil {
		return ""
	}
	return edited
}

func servedBy(text, domain string) bool {
	file, err := corefile.Parse(text)
	return err == nil && slices.ContainsFunc(file.Blocks, func(b *corefile.Block) bool { return servesZone(b, domain) })
}

// servesZone tells whether the plugin kubernetes of a block has exactly this zone.
func servesZone(b *corefile.Block, domain string) bool {
	return slices.ContainsFunc(b.Find("kubernetes"), func(d *corefile.Directive) bool { return slices.Contains(b.Origins(d.Args), domain+".") })
}

// servesIn returns the plugin kubernetes that can serve a domain, too.
func servesIn(file *corefile.File, domain string) (*corefile.Directive, error) {
	var found []*corefile.Directive
	known := false
	for _, b := range file.Blocks {
		covers := slices.ContainsFunc(b.Zones(), func(zone string) bool { return corefile.Contains(zone, domain) })
		for _, d := range b.Find("kubernetes") {
			known = true
			if covers && len(d.Args) > 0 {
				found = append(found, d)
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("%d plugins kubernetes could serve %s; write it after the name of the one that is meant", len(found), domain)
	case known:
		return nil, fmt.Errorf("the plugin kubernetes takes its zones from a block that does not cover %s; add %s to the names before the block's brace", domain, domain)
	}
	return nil, errors.New("it has no plugin kubernetes at all; write kubernetes " + domain + " in-addr.arpa ip6.arpa into the block for \".\" if these servers are meant to serve the cluster")
}
