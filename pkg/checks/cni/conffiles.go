package cni

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// bareParts names the nodes without network of which must be known what their runtimes find:
// others have a configuration.
func bareParts(s *facts.Snapshot) []checks.Part {
	return slices.DeleteFunc(cniParts(s), func(p checks.Part) bool {
		n := s.Node(p.Key)
		return n != nil && !facts.NoNetworkConfig(facts.NetworkTrouble(n))
	})
}

// emptyDirs returns the nodes whose runtime has no configuration, since none is where it
// looks.
func emptyDirs(s *facts.Snapshot) []seen {
	return slices.DeleteFunc(known(seenNodes(s)), func(c seen) bool {
		return !c.bare(s) || c.Broken() != nil || c.Used() != nil
	})
}

// noFile tells what is in the directory in place of a configuration, and who should have
// written one; sets are the DaemonSets whose agents on the node are Ready, has the plugins
// that are installed.
func (c *seen) noFile(sets []set, has map[string]bool) checks.Finding {
	f := checks.Finding{
		Subject:  c.ref(),
		Message:  fmt.Sprintf("has no pod network: %s, where its runtime looks, holds no network configuration", c.ConfDir),
		Remedy:   "Find out why no agent of a network plugin writes one on this node: see that it runs there, and read its log.",
		Evidence: []checks.Evidence{checks.Quote("Node "+c.node.Name+", condition Ready", facts.NodeReady(c.node).Message), c.quoteDir()},
	}
	switch old := c.renamed(has); {
	case len(c.Confs) > 0:
		f.Message = fmt.Sprintf("has no pod network: %s holds no configuration of the network that its runtime is told to use", c.ConfDir)
		f.Remedy = "Take cni_default_network out of CRI-O's configuration, or give it the name of the plugin's network, and restart it."
		f.Evidence = append(f.Evidence, checks.Quote("Node "+c.node.Name+", CRI-O's configuration", "cni_default_network: "+c.Network))
	case old != "":
		f.Remedy = fmt.Sprintf("On the node, rename %s to %s; or delete the plugin's pod there, which writes it anew.%s",
			path.Join(c.ConfDir, old), strings.TrimSuffix(old, path.Ext(old)), cureCilium(old))
	case len(sets) > 0:
		f.Remedy = fmt.Sprintf("Delete %s's pod on this node: the new one writes the file when it starts.", sets[0].plugin)
		f.Evidence = append(f.Evidence, checks.Quote(sets[0].ref().String(), "its agent on this node is Ready"))
	}
	return f
}

// renamed returns the name of a file that an installed plugin writes and that somebody gave
// another ending, or "".
func (c *seen) renamed(has map[string]bool) string {
	i := slices.IndexFunc(c.Entries, func(e host.Entry) bool {
		return e.Type == '-' && wanted(strings.TrimSuffix(e.Name, path.Ext(e.Name)), has)
	})
	if i < 0 {
		return ""
	}
	return c.Entries[i].Name
}

// wanted tells whether an installed plugin writes a file of that name.
func wanted(name string, has map[string]bool) bool {
	return slices.ContainsFunc(plugins.All(), func(p plugins.Plugin) bool { return has[p.ID] && namesFile(&p, name) })
}

func cureCilium(file string) string {
	if !strings.HasSuffix(file, ".cilium_bak") {
		return ""
	}
	return " Cilium renames the files of others unless its value cni.exclusive is false."
}
