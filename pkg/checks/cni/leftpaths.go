package cni

import (
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// LeftPaths returns the files on a node that come before the installed plugin's and are of
// none that is installed, and the one that is used without them, or "".
func LeftPaths(s *facts.Snapshot, node string) (left []string, used string) {
	for _, c := range known(seenNodes(s)) {
		if c.node.Name != node {
			continue
		}
		has := giving(s)
		for i := range c.Confs {
			f := &c.Confs[i]
			switch {
			case leftover(f, has) != nil:
				left = append(left, f.Path)
			case f.Err == nil:
				return left, f.Path
			}
		}
	}
	return left, ""
}
