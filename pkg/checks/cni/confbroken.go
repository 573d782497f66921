package cni

import (
	"fmt"
	"path"
	"strings"

	"github.com/containernetworking/cni/pkg/version"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// brokenFiles tells of nodes whose runtime cannot load the file that it should use. What an agent
// copied from a ConfigMap that is told already is added there.
func brokenFiles(s *facts.Snapshot, told []checks.Finding) []checks.Finding {
	all := known(seenNodes(s))
	if len(all) == 0 {
		return nil
	}
	net := look(s)
	var out []checks.Finding
	for i := range all {
		c := &all[i]
		if broken := c.Broken(); broken != nil {
			if !c.copied(s, broken, told) {
				out = append(out, c.brokenFile(s, broken, net))
			}
		} else if used := c.Used(); used != nil {
			if why := tooNew(used.Version); why != "" {
				out = append(out, c.newVersion(used, why))
			}
		}
	}
	return out
}

// copied adds the file to the finding about the ConfigMap that it is a copy of, and tells
// whether there is one.
func (c *seen) copied(s *facts.Snapshot, broken *host.Conf, told []checks.Finding) bool {
	text, _ := c.view.Read(broken.Path)
	for i := range told {
		cm := s.ConfigMap(told[i].Subject.Namespace, told[i].Subject.Name)
		if cm != nil && strings.TrimSpace(cm.Data[confKey]) == strings.TrimSpace(text) {
			told[i].Evidence = append(told[i].Evidence, c.quoteBroken(broken))
			return true
		}
	}
	return false
}

func (c *seen) quoteBroken(broken *host.Conf) checks.Evidence {
	return c.quote(broken.Path, fmt.Sprintf("%.300s", broken.Err))
}

func (c *seen) brokenFile(s *facts.Snapshot, broken *host.Conf, net network) checks.Finding {
	name := path.Base(broken.Path)
	f := checks.Finding{
		Subject:  c.ref(),
		Message:  fmt.Sprintf("has no pod network: its runtime cannot load %s, which is no valid network configuration", name),
		Evidence: []checks.Evidence{c.quoteBroken(broken), c.quoteDir()},
		Remedy:   fmt.Sprintf("On the node, correct %s, or rename it to end in .disabled, so that the runtime passes over it.", broken.Path),
	}
	if !c.bare(s) {
		f.Severity = checks.Warning
		f.Message = fmt.Sprintf("will have no pod network as soon as its runtime reads %s again or starts anew: %s is no valid network configuration", c.ConfDir, name)
	} else {
		f.Evidence = append(f.Evidence, checks.Quote("Node "+c.node.Name+", condition Ready", facts.NodeReady(c.node).Message))
	}
	if a, of := net.writer(c.node.Name, broken); a != nil {
		f.Remedy = fmt.Sprintf("Delete %s's pod on this node: the new one writes %s anew. Or correct the file on the node.", of.Name, broken.Path)
		f.Evidence = append(f.Evidence, checks.Quote(a.Ref().String(), "an agent of "+of.Name+", which writes "+name))
	}
	return f
}

// writer returns the agent on a node that writes a file when it starts, and its plugin, or
// nil.
func (n network) writer(node string, f *host.Conf) (*facts.Pod, *plugins.Plugin) {
	for _, p := range makers(f) {
		if a := n.agent(node, p.ID); a != nil {
			return a, p
		}
	}
	return nil, nil
}

// tooNew says why no plugin can know a version of CNI, or "".
func tooNew(asked string) string {
	newer, err := version.GreaterThan(asked, version.Current())
	switch {
	case err != nil:
		return "is no version of CNI"
	case newer:
		return "is later than " + version.Current() + ", the last version of CNI that is known here"
	}
	return ""
}

func (c *seen) newVersion(used *host.Conf, why string) checks.Finding {
	return checks.Finding{
		Subject:  c.ref(),
		Severity: checks.Warning,
		Message:  fmt.Sprintf("may start no new pod: %s asks for a version of CNI that its plugins do not know", path.Base(used.Path)),
		Evidence: []checks.Evidence{c.quote(used.Path, fmt.Sprintf("cniVersion: %.40q, which %s", used.Version, why))},
		Remedy:   fmt.Sprintf("Write a version into %s that the programs in %s know: 1.0.0, or 0.3.1 for old ones.", used.Path, strings.Join(c.BinDirs, " or ")),
	}
}
