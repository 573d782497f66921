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

// leftover returns the plugin whose configuration a file is, if that is not installed while
// another one is, or nil. What calls another plugin, such as Multus, is never left over, nor
// what is installed on nodes without a DaemonSet, as clouds do.
func leftover(f *host.Conf, has map[string]bool) *plugins.Plugin {
	if f == nil || len(has) == 0 || has["azure"] || has["gke-dataplane-v2"] {
		return nil
	}
	of := makers(f)
	for _, p := range of {
		switch {
		case has[p.ID] || p.Kind == plugins.Meta || p.ID == "azure":
			return nil
		case p.Kind == plugins.Residue && !ownsBridge(has):
			return nil
		}
	}
	if len(of) == 0 {
		return nil
	}
	return of[len(of)-1] // Canal stands before the two that it is made of
}

// ownsBridge tells whether the one plugin that is installed gives pods a network of its own,
// so that a runtime's sample is none of its making.
func ownsBridge(has map[string]bool) bool {
	return len(has) == 1 && slices.ContainsFunc([]string{"flannel", "canal", "kube-router", "kindnet", "weave"}, func(id string) bool { return has[id] })
}

// giving returns the ids of the plugins that give pods their addresses. It reads DaemonSets,
// Pods and ConfigMaps.
func giving(s *facts.Snapshot) map[string]bool {
	out := map[string]bool{}
	for _, d := range plugins.Detect(s) {
		if d.Plugin.Kind == plugins.Primary && !restrained(s, d) {
			out[d.Plugin.ID] = true
		}
	}
	return out
}

// leftFiles adds to what is told of nodes the file that is left over there, and tells of the
// nodes where no pod has met it yet.
func leftFiles(s *facts.Snapshot, told []checks.Finding) []checks.Finding {
	all := known(seenNodes(s))
	if len(all) == 0 {
		return told
	}
	has := giving(s)
	for i := range all {
		c := &all[i]
		used := c.Used()
		left := leftover(used, has)
		if left == nil {
			if f := c.waitingFile(used, has); f != nil {
				told = append(told, *f)
			}
			continue
		}
		f := c.among(&told, func() checks.Finding { return c.leftFile(left, has) })
		f.Evidence = append(f.Evidence, c.quote(used.Path, "calls "+typesOf(used)), c.quoteDir())
		f.Remedy = fmt.Sprintf("On the node, rename %s to %s.disabled, or delete it: the first file by name is used. Then delete the pods that it connected.",
			used.Path, path.Base(used.Path))
		if old := c.renamed(has); old != "" {
			f.Remedy += fmt.Sprintf(" Rename %s back to %s, too.%s", old, strings.TrimSuffix(old, path.Ext(old)), cureCilium(old))
		}
	}
	return told
}

func (c *seen) leftFile(left *plugins.Plugin, has map[string]bool) checks.Finding {
	f := checks.Finding{
		Subject:  c.ref(),
		Message:  fmt.Sprintf("starts no new pod that works: its runtime uses a configuration of %s, which is not installed; %s is", left.Name, names(has)),
		Evidence: []checks.Evidence{checks.Quote("DaemonSets and pods", "none of "+left.Name+", but of "+names(has))},
	}
	if left.Kind == plugins.Residue {
		f.Message = fmt.Sprintf("connects new pods to a bridge of the node alone: its runtime uses the %s, and not %s", left.Name, names(has))
		f.Evidence = nil
	}
	return f
}

// waitingFile tells of a file of a plugin that is not installed, which takes over as soon as
// the one before it is gone.
func (c *seen) waitingFile(used *host.Conf, has map[string]bool) *checks.Finding {
	if used == nil || !slices.ContainsFunc(makers(used), func(p *plugins.Plugin) bool { return has[p.ID] }) {
		return nil
	}
	for i := range c.Confs {
		f := &c.Confs[i]
		left := leftover(f, has)
		if f.Path <= used.Path || left == nil || left.Kind != plugins.Primary {
			continue
		}
		return &checks.Finding{
			Subject:  c.ref(),
			Severity: checks.Info,
			Message:  fmt.Sprintf("keeps a configuration of %s, which is not installed: it is used where %s is gone for a moment", left.Name, path.Base(used.Path)),
			Evidence: []checks.Evidence{c.quote(f.Path, "calls "+typesOf(f)), c.quoteDir()},
			Remedy:   fmt.Sprintf("On the node, delete %s, or rename it to end in .disabled.", f.Path),
		}
	}
	return nil
}

// typesOf names the programs that a file calls, as far as they are few.
func typesOf(f *host.Conf) string {
	var out []string
	for _, p := range f.Plugins {
		out = append(out, p.Type)
	}
	if len(out) > listed {
		out = append(out[:listed], "…")
	}
	return strings.Join(out, ", ")
}
