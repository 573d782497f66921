package cni

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// seen is a node and what its runtime finds of network plugins, by the node's files.
type seen struct {
	host.CNI
	node *corev1.Node
	view host.View
}

// seenNodes returns the Linux nodes of which something was read: where it is not known what
// their runtimes find, Unknown says why. It reads Nodes and Files.
func seenNodes(s *facts.Snapshot) []seen {
	if s.Depth < facts.Host {
		return nil
	}
	var out []seen
	for _, n := range s.LinuxNodes() {
		if v := host.Of(s, n.Name); v.Known() {
			c := seen{v.CNI(n), n, v}
			c.doubt()
			out = append(out, c)
		}
	}
	return out
}

// known returns those of the nodes of which it is known what their runtimes find.
func known(all []seen) []seen {
	return slices.DeleteFunc(all, func(c seen) bool { return c.Unknown != "" })
}

// doubt notes that the runtime must look elsewhere: the node is Ready, so that it has a
// configuration, and here is none that it could have loaded.
func (c *seen) doubt() {
	if c.Unknown != "" || !c.ready() || c.Used() != nil {
		return
	}
	switch broken := c.Broken(); {
	case broken == nil:
		c.Unknown = c.ConfDir + ": holds no network configuration, and the runtime has one; it looks elsewhere"
	case !c.Stated:
		c.Unknown = broken.Path + ": cannot be loaded, and the runtime has a network; it looks elsewhere"
	}
}

func (c *seen) ready() bool {
	r := facts.NodeReady(c.node)
	return r != nil && r.Status == corev1.ConditionTrue
}

// bare tells whether the runtime says for a while that it has no configuration.
func (c *seen) bare(s *facts.Snapshot) bool {
	return facts.NoNetworkConfig(facts.NetworkTrouble(c.node)) && s.Taken.Sub(facts.NodeReady(c.node).LastTransitionTime.Time) >= grace
}

func (c *seen) ref() facts.Ref { return facts.NodeRef(c.node.Name) }

// among returns the node's finding among those that are told, to be added to; where there is
// none, the one that make returns is told too.
func (c *seen) among(told *[]checks.Finding, make func() checks.Finding) *checks.Finding {
	at := slices.IndexFunc(*told, func(f checks.Finding) bool { return f.Subject == c.ref() })
	if at < 0 {
		at = len(*told)
		*told = append(*told, make())
	}
	return &(*told)[at]
}

func (c *seen) quote(file, text string) checks.Evidence {
	return checks.QuoteFile(c.node.Name, file, text)
}

// listed is how many names of a directory are quoted.
const listed = 12

// quoteDir quotes what is in the directory of the configurations.
func (c *seen) quoteDir() checks.Evidence {
	var names []string
	for _, e := range c.Entries {
		names = append(names, e.Name)
	}
	if len(names) == 0 {
		return c.quote(c.ConfDir, "empty, or not there")
	}
	text := strings.Join(names[:min(len(names), listed)], ", ")
	if more := len(names) - listed; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return c.quote(c.ConfDir, text)
}

// cniParts names the nodes of which must be known what their runtimes find, where nodes are
// looked at.
func cniParts(s *facts.Snapshot) []checks.Part {
	return partsOf(s, func(c *seen) []checks.Part { return nil })
}

// partsOf adds what else must be known of a node of which it is known what its runtime
// finds.
func partsOf(s *facts.Snapshot, further func(c *seen) []checks.Part) []checks.Part {
	if s.Depth < facts.Host {
		return nil
	}
	by := map[string]*seen{}
	all := seenNodes(s)
	for i := range all {
		by[all[i].node.Name] = &all[i]
	}
	var out []checks.Part
	for _, n := range s.LinuxNodes() {
		switch c := by[n.Name]; {
		case c == nil:
			out = append(out, checks.Part{Source: facts.Files, Key: n.Name})
		case c.Unknown != "":
			out = append(out, checks.Part{Source: facts.Files, Key: n.Name, Lacks: c.Unknown})
		default:
			out = append(out, further(c)...)
		}
	}
	return out
}

// makers returns the plugins whose configuration a file is: those whose own program it calls
// first, or else those that write a file of its name.
func makers(f *host.Conf) []*plugins.Plugin {
	var out []*plugins.Plugin
	if len(f.Plugins) > 0 {
		for _, id := range owners(f.Plugins[0].Type) {
			out = append(out, plugins.Named(id))
		}
	}
	if len(out) == 0 {
		for i := range plugins.All() {
			if p := &plugins.All()[i]; namesFile(p, path.Base(f.Path)) {
				out = append(out, p)
			}
		}
	}
	return out
}

func namesFile(p *plugins.Plugin, name string) bool {
	return slices.ContainsFunc(p.Files, func(pattern string) bool {
		fits, _ := path.Match(pattern, name)
		return fits
	})
}

// field decodes one field of a plugin's part of a configuration into a value of that form;
// what is of another form is as if it were not there.
func field[T any](raw []byte, name string) T {
	var fields map[string]json.RawMessage
	var out, none T
	if json.Unmarshal(raw, &fields) != nil || json.Unmarshal(fields[name], &out) != nil {
		return none
	}
	return out
}
