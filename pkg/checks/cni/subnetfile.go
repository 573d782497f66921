package cni

import (
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// subnetFile returns the file from which Flannel's program reads the node's range, or ""
// where the node's configuration does not call it.
func (c *seen) subnetFile() string {
	used := c.Used()
	if used == nil {
		return ""
	}
	for _, p := range used.Plugins {
		if p.Type != "flannel" {
			continue
		}
		if file := field[string](p.Raw, "subnetFile"); file != "" {
			return file
		}
		return host.FlannelFile
	}
	return ""
}

func subnetEnvParts(s *facts.Snapshot) []checks.Part {
	return partsOf(s, func(c *seen) []checks.Part {
		if file := c.subnetFile(); file != "" {
			return checks.Files(s, c.node.Name, file)
		}
		return nil
	})
}

// subnetFiles adds to what is told of nodes, and tells of those on which no pod has failed
// yet. An agent that has just started may be about to write the file.
func subnetFiles(s *facts.Snapshot, told []checks.Finding) []checks.Finding {
	all := known(seenNodes(s))
	var net network
	for i := range all {
		c := &all[i]
		file := c.subnetFile()
		if file == "" || !c.view.Absent(file) || s.Joining(c.node) {
			continue
		}
		if net.has == nil {
			net = look(s)
		}
		if a := net.agent(c.node.Name, "flannel"); a != nil && s.Taken.Sub(since(a)) < grace && !failing(a) {
			continue
		}
		f := c.among(&told, func() checks.Finding {
			f := checks.Finding{Subject: c.ref(), Message: noSubnet, Remedy: rewriteSubnet}
			cureAgent(s, net, &f, "flannel")
			return f
		})
		f.Evidence = append(f.Evidence, c.quote(file, "not there"))
	}
	return told
}
