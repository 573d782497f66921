package kubelet

import (
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// copiesDot matches the version of the kubelets that copy the search path "." into pods.
var copiesDot = regexp.MustCompile(`^v1\.25\.0($|[+-])`)

// dotNodes returns the nodes whose kubelet copies it.
func dotNodes(s *facts.Snapshot) []*corev1.Node {
	if s.Depth < facts.Host {
		return nil
	}
	return slices.DeleteFunc(s.LinuxNodes(), func(n *corev1.Node) bool { return !copiesDot.MatchString(n.Status.NodeInfo.KubeletVersion) })
}

// searchDotParts names, of those nodes, the kubelet's configuration and the file that it
// reads.
func searchDotParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, n := range dotNodes(s) {
		out = append(out, checks.Part{Source: facts.Configz, Key: n.Name})
		if file := resolvConf(s, n.Name); file != "" {
			out = append(out, checks.Files(s, n.Name, file)...)
		}
	}
	return out
}

func findSearchDot(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, n := range dotNodes(s) {
		file := resolvConf(s, n.Name)
		text, _ := host.Of(s, n.Name).Read(file)
		line := searchLine(text)
		if !slices.Contains(strings.Fields(line), ".") {
			continue
		}
		out = append(out, checks.Finding{
			Subject: facts.NodeRef(n.Name),
			Message: `gives pods the search path ".": programs built with musl, as in Alpine's images, resolve no name`,
			Evidence: []checks.Evidence{checks.QuoteFile(n.Name, file, line),
				checks.Quote("Node "+n.Name+", kubeletVersion", n.Status.NodeInfo.KubeletVersion)},
			Remedy: `Update the kubelet to 1.25.1 or later, and re-create the pods of the node. Until then, take "search ." out of ` + file + `: give systemd-resolved a domain (Domains= in resolved.conf), or the machine a hostname without dots.`,
		})
	}
	return out
}

// searchLine returns the line of a resolv.conf that counts, the last one (resolv.conf(5)).
func searchLine(text string) string {
	last := ""
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "search" {
			last = strings.TrimSpace(line)
		}
	}
	return last
}
