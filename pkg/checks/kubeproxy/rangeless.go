package kubeproxy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// noCIDR is how kube-proxy says that it is told no range of the pods: up to 1.17, and since.
var noCIDR = regexp.MustCompile(`clusterCIDR not specified, unable to distinguish between internal and external traffic|` +
	`no cluster CIDR specified for primary IP family`)

// rangeless tells of a kube-proxy that is told no range and says so, unless it runs beside a
// plugin that shares out addresses by itself: those masquerade by themselves.
func (p *proxy) rangeless(c *settings) []checks.Finding {
	f := checks.Finding{Subject: setRef(p.set), Severity: checks.Info,
		Message: "tells kube-proxy no range of the pods: it masquerades nothing that comes to Services from outside of the pod network"}
	c0 := &p.spec.Containers[0]
	switch {
	case c == nil && (flag(c0, "config") != "" || flag(c0, "cluster-cidr") != "" || slices.Contains(p.flags(), "--masquerade-all")):
		return nil
	case c == nil:
		f.Evidence = append(f.Evidence, checks.Quote(setRef(p.set).String()+", command", strings.Join(p.flags(), " ")))
		f.Remedy = "Start kube-proxy with --cluster-cidr and the range from which pods have their addresses; where the plugin masquerades that traffic itself, nothing is wrong."
	case c.ClusterCIDR != "" || c.IPTables.MasqueradeAll || c.NFTables.MasqueradeAll:
		return nil
	default:
		f.Subject = c.at.ref()
		f.Evidence = append(f.Evidence, c.quote("clusterCIDR", `""`))
		f.Remedy = fmt.Sprintf("Set clusterCIDR in key %s to %s, then restart kube-proxy: %s; where the plugin masquerades that traffic itself, nothing is wrong.",
			c.at.key, p.rightCIDR(nil, p.s.LinuxNodes()), p.restart())
	}
	if selfMasquerading(p.s) {
		return nil
	}
	for _, pod := range p.pods {
		for line := range strings.Lines(p.log(pod)) {
			if noCIDR.MatchString(line) {
				f.Evidence = append(f.Evidence, checks.QuoteLog(pod, "log", strings.TrimSpace(line)))
				return []checks.Finding{f}
			}
		}
	}
	return nil
}

// selfMasquerading tells whether a plugin is known that gives pods addresses of its own and
// knows them from others.
func selfMasquerading(s *facts.Snapshot) bool {
	return slices.ContainsFunc(plugins.Detect(s), func(d plugins.Detected) bool {
		return d.Plugin.Kind == plugins.Primary && !d.Plugin.UsesPodCIDR
	})
}
