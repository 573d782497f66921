package cni

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// lacking is a program that a node's configuration calls and that is not there.
type lacking struct {
	program string
	caller  string // the plugin that calls it; the program itself where the runtime does
}

// lacks returns the programs that the runtime's configuration calls and that are certainly
// not there. Elsewhere tells that none of them is, while the node is Ready and nothing says
// where its runtime looks: that must be in another directory.
func (c *seen) lacks(used *host.Conf) (gone []lacking, elsewhere bool) {
	called := map[string]bool{}
	for _, p := range used.Plugins {
		for _, program := range calls(p.Type, p.Raw, 0) {
			if called[program] || !plain(program) {
				continue
			}
			called[program] = true
			if c.Missing(program) {
				gone = append(gone, lacking{program, p.Type})
			}
		}
	}
	if len(gone) > 0 && len(gone) == len(called) && !c.Stated && c.ready() {
		return nil, true
	}
	return gone, false
}

// programParts names the nodes of which must be known what their runtimes find, and which
// programs they have.
func programParts(s *facts.Snapshot) []checks.Part {
	return partsOf(s, func(c *seen) []checks.Part {
		why := c.ProgramsUnknown()
		if used := c.Used(); why == "" && used != nil {
			if _, elsewhere := c.lacks(used); elsewhere {
				why = strings.Join(c.BinDirs, ", ") + ": holds no program of the configuration, and the runtime works; it looks elsewhere"
			}
		}
		if why == "" {
			return nil
		}
		return []checks.Part{{Source: facts.Files, Key: c.node.Name, Lacks: why}}
	})
}

// plain tells whether a name is one that a program can have: it comes from a node.
func plain(program string) bool {
	return len(program) <= 64 && !strings.ContainsFunc(program, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// addressed are the plugins that call a program for addresses; others only name one that is
// part of them or runs elsewhere.
var addressed = append([]string{"calico"}, reference...)

// deepest is how often plugins that call others are followed.
const deepest = 3

// calls returns the programs that a plugin calls, itself first: that for addresses, and what
// Flannel (flannel-io/cni-plugin) and Multus hand pods on to.
func calls(program string, raw []byte, depth int) []string {
	out := []string{program}
	if ipam := field[struct{ Type string }](raw, "ipam").Type; ipam != "" && slices.Contains(addressed, program) {
		out = append(out, ipam)
	}
	if depth == deepest {
		return out
	}
	switch program {
	case "flannel":
		delegate := field[json.RawMessage](raw, "delegate")
		next := field[string](delegate, "type")
		if next == "" {
			next = "bridge"
		}
		out = append(append(out, calls(next, nil, depth+1)...), "host-local")
	case "multus":
		if field[string](raw, "binDir") != "" {
			break
		}
		for _, delegate := range field[[]json.RawMessage](raw, "delegates") {
			for _, part := range append(field[[]json.RawMessage](delegate, "plugins"), delegate) {
				if next := field[string](part, "type"); next != "" {
					out = append(out, calls(next, part, depth+1)...)
				}
			}
		}
	}
	return out
}

// lackingFiles adds to what is told of nodes, and tells of those on which no pod has failed
// yet. It reads Nodes, Files, DaemonSets, Pods and ConfigMaps.
func lackingFiles(s *facts.Snapshot, told []checks.Finding) []checks.Finding {
	all := known(seenNodes(s))
	if len(all) == 0 {
		return told
	}
	net, has := look(s), giving(s)
	for i := range all {
		c := &all[i]
		used := c.Used()
		if used == nil || leftover(used, has) != nil {
			continue
		}
		gone, _ := c.lacks(used)
		if len(gone) == 0 {
			continue
		}
		f := c.among(&told, func() checks.Finding { return c.lackingFile(gone, net) })
		f.Evidence = append(f.Evidence, c.quoteLacking(used, gone)...)
	}
	return told
}

// ownerOf returns the id of the plugin whose own program this is, or "".
func ownerOf(program string) string {
	of := owners(program)
	if len(of) == 0 {
		return ""
	}
	return of[len(of)-1] // Canal stands before the two that it is made of
}

func (c *seen) lackingFile(gone []lacking, net network) checks.Finding {
	var quoted []string
	for _, l := range gone {
		quoted = append(quoted, fmt.Sprintf("%q", l.program))
	}
	f := checks.Finding{
		Subject: c.ref(),
		Message: fmt.Sprintf("starts no new pod: the network plugin's program %s is not in %s", quoted[0], strings.Join(c.BinDirs, " or ")),
	}
	if len(gone) > 1 {
		f.Message = fmt.Sprintf("starts no new pod: the network plugin's programs %s are not in %s", strings.Join(quoted, ", "), strings.Join(c.BinDirs, " or "))
	}
	var cures []string
	for _, l := range gone {
		owner := ownerOf(l.program)
		cure := cureProgram(l.program, owner, c.BinDirs, net.bringer(c.node.Name, l.program, owner))
		if !slices.Contains(cures, cure) {
			cures = append(cures, cure)
		}
		if owner != "" && len(cures) == 1 {
			withAgent(net, &f, owner)
		}
	}
	f.Remedy = strings.Join(cures, " ")
	return f
}

func (c *seen) quoteLacking(used *host.Conf, gone []lacking) []checks.Evidence {
	var out []checks.Evidence
	for _, l := range gone[:min(len(gone), listed)] {
		text := "calls " + l.program
		if l.caller != l.program {
			text = "calls " + l.caller + ", which calls " + l.program
		}
		out = append(out, c.quote(used.Path, text))
	}
	for _, dir := range c.BinDirs {
		entries, _ := c.view.Dir(dir)
		var names []string
		for _, e := range entries[:min(len(entries), 2*listed)] {
			names = append(names, e.Name)
		}
		text := "empty, or not there"
		if len(names) > 0 {
			text = strings.Join(names, ", ")
		}
		out = append(out, c.quote(dir, text))
	}
	return out
}

// cureProgram says how a node gets a program that it lacks; bringer is the agent that copies
// it, if any.
func cureProgram(program, owner string, dirs []string, bringer *facts.Pod) string {
	dir := strings.Join(dirs[:min(len(dirs), 1)], "")
	switch {
	case slices.Contains(reference, program):
		return fmt.Sprintf("Install the package kubernetes-cni on the node, or unpack the release of "+
			"github.com/containernetworking/plugins into %s: %s is one of its programs.", dir, program)
	case bringer != nil:
		return fmt.Sprintf("Delete %s's pod on this node: the new one copies %s again. If it is still not found, "+
			"the runtime looks in another directory than the one to which the pod copies.", plugins.Named(owner).Name, program)
	}
	return fmt.Sprintf("Put the program %s into %s on the node, or take it out of the configuration in /etc/cni/net.d.", program, dir)
}
