package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// heading tells what was looked at, and how deep; a line breaks between its parts.
func heading(r Report, width int) []string {
	s := r.Snapshot
	parts := []string{"netdoctor"}
	if r.Bundle != "" {
		parts = append(parts, "bundle "+Clean(r.Bundle))
	}
	if s.Server != "" {
		parts = append(parts, "server "+Clean(s.Server))
	}
	parts = append(parts, "depth "+s.Depth.String())
	if read := objects(s); len(read) > 0 {
		parts = append(parts, strings.Join(read, ", "))
	}
	if s.Scope != "" {
		parts = append(parts, "workloads of namespace "+Clean(s.Scope))
	}
	parts = append(parts, environment(s)...)
	parts = append(parts, samples(s)...)
	lines := []string{parts[0]}
	for _, part := range parts[1:] {
		line := lines[len(lines)-1] + " · " + part
		if utf8.RuneCountInString(line) > width {
			lines = append(lines, part)
		} else {
			lines[len(lines)-1] = line
		}
	}
	return lines
}

// objects counts what was read.
func objects(s *facts.Snapshot) []string {
	var out []string
	for _, of := range []struct {
		whole, part *facts.Source
		n           int
		noun        string
	}{
		{facts.Nodes, facts.Nodes, len(s.Nodes), "node"},
		{facts.Pods, facts.SystemPods, len(s.Pods), "pod"},
		{facts.Services, facts.SystemServices, len(s.Services), "Service"},
	} {
		switch {
		case s.Missing(of.whole) == "":
			out = append(out, plural(of.n, of.noun))
		case s.Missing(of.part) == "":
			out = append(out, plural(of.n, "system "+of.noun))
		}
	}
	return out
}

// environment names what makes up the network: the plugins, the DNS server, the service
// proxy, each with its version where the image says.
func environment(s *facts.Snapshot) []string {
	var out []string
	if s.Missing(facts.Pods) == "" {
		for _, d := range plugins.Detect(s) {
			out = append(out, Clean(d.Plugin.Name))
		}
	}
	if s.Missing(facts.SystemPods) != "" {
		return out
	}
	out = append(out, versions("CoreDNS", s.DNSPods(), "coredns")...)
	return append(out, versions("kube-proxy", s.KubeProxyPods(), "kube-proxy")...)
}

// mostVersions is how many versions of one program are told.
const mostVersions = 3

// versions names a program with the versions in which pods run it.
func versions(name string, pods []*facts.Pod, image string) []string {
	var tags []string
	found := false
	for _, p := range pods {
		for i := range p.Containers {
			if c := &p.Containers[i]; strings.Contains(c.Image, image) {
				found = true
				if tag := version.FindString(c.Image); tag != "" && !slices.Contains(tags, tag) {
					tags = append(tags, tag)
				}
			}
		}
	}
	slices.Sort(tags)
	switch {
	case !found:
		return nil
	case len(tags) > mostVersions:
		return []string{fmt.Sprintf("%s in %d versions", name, len(tags))}
	}
	for i := range tags {
		tags[i] = Clean(strings.TrimPrefix(tags[i], ":"))
	}
	return []string{strings.TrimSpace(name + " " + strings.Join(tags, ", "))}
}

// version is the tag of an image that names one.
var version = regexp.MustCompile(`:v?[0-9][0-9A-Za-z._-]*$`)

// samples tells of what only some were asked.
func samples(s *facts.Snapshot) []string {
	var out []string
	for _, of := range []struct {
		src  *facts.Source
		text string
	}{
		{facts.Configz, "%s of %s kubelets asked"},
		{facts.PodLogs, "logs of %s of %s network pods"},
		{facts.Proxy, "%s of %s pods of CoreDNS and kube-proxy asked"},
		{facts.Answers, "%s of %s CoreDNS pods asked for names"},
	} {
		if sample, found := s.Sampled[of.src.Name]; found {
			out = append(out, fmt.Sprintf(of.text, Count1000(sample.Asked), Count1000(sample.Of)))
		}
	}
	if len(out) > 0 {
		out = append(out, "--all-nodes asks all")
	}
	for _, of := range []struct {
		src  *facts.Source
		text string
	}{{facts.Tries, "traffic tried on %s of %s nodes (--nodes names others)"}, {facts.Files, "%s of %s nodes looked at"}} {
		if sample, found := s.Sampled[of.src.Name]; found {
			out = append(out, fmt.Sprintf(of.text, Count1000(sample.Asked), Count1000(sample.Of)))
		}
	}
	return out
}
