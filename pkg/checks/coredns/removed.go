package coredns

import (
	"fmt"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CorefileRemoved finds what the running CoreDNS still takes and later releases do not.
// What the running one has removed already is CorefileError's.
var CorefileRemoved = &checks.Check{
	ID:       "coredns-corefile-removed",
	Title:    "The Corefile has nothing that later releases of CoreDNS removed",
	Severity: checks.Info,
	URL:      "https://github.com/coredns/deployment/blob/master/kubernetes/CoreDNS-k8s_version.md",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps},
	ByHand: []string{"kubectl -n kube-system get configmap coredns -o yaml",
		"kubectl -n kube-system get deployment coredns -o jsonpath='{.spec.template.spec.containers[0].image}'"},
	Run: findCorefileRemoved,
	Doc: `CoreDNS has removed plugins and options over time: ` + "`proxy`" + ` in 1.5.0, ` + "`upstream`, `resyncperiod` and `federation`" + ` in
1.7.0, ` + "`transfer`" + ` inside other plugins in 1.8.0. The release that runs still takes what was found; with the next upgrade of
CoreDNS the new pods do not start. Kubeadm migrates the Corefile when it upgrades CoreDNS; a new image in the Deployment, Helm
or a provider's add-on does not.

What the running release does not know any more is told by **coredns-corefile-error**.

Cure: before the upgrade, write the replacement (` + "`forward`" + ` for ` + "`proxy`" + `, the plugin ` + "`transfer`" + `) or delete what has lost its
effect.`,
}

func findCorefileRemoved(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, c := range configs(s) {
		runs := version(c.servers[0].container.Image)
		if runs == nil {
			continue
		}
		var first corefile.Removal
		var evidence []checks.Evidence
		for _, b := range c.file.Blocks {
			for _, d := range b.Directives {
				for _, r := range d.Removed() {
					if reached(runs, r.Since) {
						continue
					}
					if evidence = append(evidence, checks.Quote(configRef(c.cm).String()+", Corefile", removedLine(r))); len(evidence) == 1 {
						first = r
					}
				}
			}
		}
		if len(evidence) == 0 {
			continue
		}
		evidence = append(evidence, checks.Quote(c.servers[0].pod.Ref().String()+", image", c.servers[0].container.Image))
		word := strings.TrimSpace(first.Directive + " " + first.Option)
		out = append(out, c.finding(fmt.Sprintf("keeps CoreDNS %s and later from starting: %q is gone there", first.Since, word),
			removedRemedy(first)+" Do so before CoreDNS is upgraded: "+c.edit()+".", evidence...))
	}
	return out
}
