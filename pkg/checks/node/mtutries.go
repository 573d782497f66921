package node

import (
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// sizesUnseen says why nothing tells of the sizes of packets, or "".
func sizesUnseen(s *facts.Snapshot) string {
	if s.Depth < facts.Probe {
		return checks.OnlyAt(facts.Probe)
	}
	return ""
}

// sizeParts names what must be known of packets and, where nodes were looked at, of interfaces.
func sizeParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	if s.Depth >= facts.Host {
		out = mtuParts(s)
	}
	if !s.Unheard[facts.Tries.Name] {
		out = append(out, traffic.SizeParts(s)...)
	}
	return out
}

// findSizes tells what the interfaces show and what packets do, each fault once: where an
// interface is the reason, packets are its proof.
func findSizes(s *facts.Snapshot) []checks.Finding {
	shown := findMTU(s)
	var out []checks.Finding
	for _, n := range traffic.NarrowWays(s) {
		told := false
		for i := range shown {
			if f := &shown[i]; slices.Contains(n.Nodes, f.Subject.Name) {
				told = true
				f.Evidence = append(f.Evidence, n.Evidence[:min(len(n.Evidence), 2)]...)
				if n.Severity == checks.Error {
					f.Severity = checks.Error
				}
			}
		}
		if !told {
			out = append(out, n.Finding)
		}
	}
	return append(shown, out...)
}
