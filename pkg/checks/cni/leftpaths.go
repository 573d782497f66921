package cni

import (
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// Left is what other plugins left in a node's directory of configurations.
type Left struct {
	Before []string // the files that come before any other one, and so are used
	Used   string   // what is used without them, "" where nothing is
	Whose  bool     // whether that is the installed plugin's, or one that calls it
	Behind []string // those that come behind it, and are used where it is gone for a moment
}

// LeftOn returns what is left on a node; known is false where it is not known which files are
// there. It reads what the check Residue does, and names what that one tells of.
func LeftOn(s *facts.Snapshot, node string) (left Left, known bool) {
	all := seenNodes(s)
	i := slices.IndexFunc(all, func(c seen) bool { return c.node.Name == node })
	if i < 0 || all[i].Unknown != "" {
		return left, false
	}
	has := giving(s)
	for k := range all[i].Confs {
		f := &all[i].Confs[k]
		switch old := leftover(f, has); {
		case old != nil && left.Used == "":
			left.Before = append(left.Before, f.Path)
		case old != nil && old.Kind == plugins.Primary:
			left.Behind = append(left.Behind, f.Path)
		case old == nil && f.Err == nil && left.Used == "":
			left.Used = f.Path
			left.Whose = slices.ContainsFunc(makers(f), func(p *plugins.Plugin) bool { return has[p.ID] || p.Kind == plugins.Meta })
		}
	}
	return left, true
}
