package cni

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// nodeBridge is a bridge that a node's configuration makes, and the range that it must have
// an address of.
type nodeBridge struct {
	name, file string
	ranges     []netip.Prefix
	from       string // where the range stands
}

// bridge returns the bridge to which the node's configuration gives an address, or nil where
// it does not, or replaces one that is there.
func (c *seen) bridge() *nodeBridge {
	used := c.Used()
	if used == nil {
		return nil
	}
	for _, p := range used.Plugins {
		raw, out := p.Raw, nodeBridge{file: used.Path}
		switch p.Type {
		case "flannel":
			if raw = field[json.RawMessage](p.Raw, "delegate"); raw == nil {
				raw = []byte("{}")
			}
			kind := field[string](raw, "type")
			if kind != "" && kind != "bridge" || field[*bool](raw, "isGateway") != nil && !field[bool](raw, "isGateway") && !field[bool](raw, "isDefaultGateway") {
				return nil
			}
			out.ranges, out.from = c.flannelRange()
		case "bridge":
			if !field[bool](raw, "isGateway") && !field[bool](raw, "isDefaultGateway") {
				return nil
			}
			out.ranges, out.from = hostLocal(field[json.RawMessage](raw, "ipam")), used.Path
		default:
			continue
		}
		if out.name = field[string](raw, "bridge"); out.name == "" {
			out.name = "cni0"
		}
		if field[bool](raw, "forceAddress") || len(out.ranges) == 0 || !plain(out.name) {
			return nil
		}
		return &out
	}
	return nil
}

// flannelRange returns the IPv4 range that Flannel's agent wrote for the node, or else the
// node's own if it takes that.
func (c *seen) flannelRange() (ranges []netip.Prefix, from string) {
	file := c.subnetFile()
	if own := c.view.Flannel(file).Subnet; own.IsValid() {
		return []netip.Prefix{own}, file
	}
	if c.node.Annotations["flannel.alpha.coreos.com/kube-subnet-manager"] != "true" {
		return nil, ""
	}
	return facts.PodRanges(c.node), "podCIDR"
}

// hostLocal returns the ranges that the program host-local is told to give addresses of.
func hostLocal(ipam []byte) []netip.Prefix {
	texts := []string{field[string](ipam, "subnet")}
	for _, set := range field[[][]struct{ Subnet string }](ipam, "ranges") {
		for _, r := range set {
			texts = append(texts, r.Subnet)
		}
	}
	var out []netip.Prefix
	for _, text := range texts {
		if p, err := netip.ParsePrefix(text); err == nil && field[string](ipam, "type") == "host-local" {
			out = append(out, p.Masked())
		}
	}
	return out
}

func takenParts(s *facts.Snapshot) []checks.Part {
	return partsOf(s, func(c *seen) []checks.Part {
		var parts []checks.Part
		if file := c.subnetFile(); file != "" {
			parts = checks.Files(s, c.node.Name, file)
		}
		if c.bridge() == nil {
			return parts
		}
		parts = append(parts, checks.Files(s, c.node.Name, host.AddrFile)...)
		if _, err := c.view.Links(); err != nil {
			parts = append(parts, checks.Part{Source: facts.Files, Key: c.node.Name, Lacks: err.Error()})
		}
		return parts
	})
}

// takenFiles adds to what is told of nodes, and tells of those on which no pod has failed
// yet: the program bridge takes no IPv4 address beside the one that it means to give.
func takenFiles(s *facts.Snapshot, told []checks.Finding) []checks.Finding {
	all := known(seenNodes(s))
	if len(all) == 0 {
		return told
	}
	has := giving(s)
	for i := range all {
		c := &all[i]
		b := c.bridge()
		if b == nil || leftover(c.Used(), has) != nil {
			continue
		}
		links, _ := c.view.Links()
		link := host.LinkNamed(links, b.name)
		if link == nil || !b.taken(link.Addrs) {
			continue
		}
		f := c.among(&told, func() checks.Finding {
			message, cure := takenBridge(b.name)
			return checks.Finding{Subject: c.ref(), Message: message, Remedy: cure}
		})
		var addrs []string
		for _, a := range link.Addrs {
			addrs = append(addrs, a.String())
		}
		f.Evidence = append(f.Evidence, c.quote(host.AddrFile, b.name+": "+strings.Join(addrs, ", ")),
			checks.Quote("Node "+c.node.Name+", "+b.from, fmt.Sprintf("its range is %s", joinPrefixes(b.ranges))))
	}
	return told
}

// taken tells whether a bridge has IPv4 addresses and none of its range.
func (b *nodeBridge) taken(addrs []netip.Prefix) bool {
	four := func(p netip.Prefix) bool { return p.Addr().Is4() }
	own := func(a netip.Prefix) bool {
		return slices.ContainsFunc(b.ranges, func(r netip.Prefix) bool { return r.Contains(a.Addr()) })
	}
	return slices.ContainsFunc(b.ranges, four) && slices.ContainsFunc(addrs, four) && !slices.ContainsFunc(addrs, func(a netip.Prefix) bool { return four(a) && own(a) })
}

func joinPrefixes(list []netip.Prefix) string {
	var out []string
	for _, p := range list {
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}
