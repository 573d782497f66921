package agent

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Bounds of what the kernel is asked for. A node has hundreds of interfaces, and with
// kube-proxy's mode ipvs an address and a local route for each Service.
const (
	mostLinks  = 2_000
	mostAddrs  = 16_384
	mostRoutes = 16_384 // of the table "local", and of all others
	mostNeighs = 4_096
)

// linkFiles asks the kernel for interfaces and routing in the network namespace that the
// process is in, and writes what "ip -json -details -statistics" and "bridge -json" do,
// field by field, as far as it is written.
func linkFiles() (files, gaps map[string]string) {
	files, gaps = map[string]string{}, map[string]string{}
	put := func(name, text string, err error) {
		if text != "" {
			files[name] = text
		}
		if err != nil {
			gaps[name] = err.Error()
		}
	}
	links, err := dump(listLinks)
	if links == nil && err != nil {
		for _, name := range []string{addrFile, routeFile, ruleFile, neighFile, fdbFile} {
			gaps[name] = fmt.Sprintf("listing interfaces: %v", err)
		}
		return files, gaps
	}
	names := map[int]string{}
	for _, link := range links {
		names[link.Attrs().Index] = link.Attrs().Name
	}
	text, addrErr := addrJSON(links, names)
	put(addrFile, text, errors.Join(err, addrErr))
	text, err = routeJSON(names)
	put(routeFile, text, err)
	text, err = ruleJSON()
	put(ruleFile, text, err)
	text, err = neighJSON(names)
	put(neighFile, text, err)
	text, err = fdbJSON(names)
	put(fdbFile, text, err)
	return files, gaps
}

type ipLink struct {
	Index     int       `json:"ifindex"`
	Link      string    `json:"link,omitempty"`
	LinkIndex int       `json:"link_index,omitempty"`
	Name      string    `json:"ifname"`
	Flags     []string  `json:"flags"`
	MTU       int       `json:"mtu"`
	Master    string    `json:"master,omitempty"`
	OperState string    `json:"operstate"`
	Type      string    `json:"link_type"`
	Address   string    `json:"address,omitempty"`
	NetNsID   *int      `json:"link_netnsid,omitempty"`
	Info      *linkInfo `json:"linkinfo,omitempty"`
	Stats     linkStats `json:"stats64"`
	Addrs     []ipAddr  `json:"addr_info"`
}

type linkInfo struct {
	Kind string         `json:"info_kind"`
	Data map[string]any `json:"info_data,omitempty"`
}

type linkStats struct {
	RX struct {
		counts
		Over uint64 `json:"over_errors"`
	} `json:"rx"`
	TX counts `json:"tx"`
}

type counts struct {
	Packets uint64 `json:"packets"`
	Errors  uint64 `json:"errors"`
	Dropped uint64 `json:"dropped"`
}

type ipAddr struct {
	Family     string `json:"family"`
	Local      string `json:"local"`
	Peer       string `json:"address,omitempty"`
	PrefixLen  int    `json:"prefixlen"`
	Scope      string `json:"scope"`
	Deprecated bool   `json:"deprecated,omitempty"`
	Tentative  bool   `json:"tentative,omitempty"`
	DadFailed  bool   `json:"dadfailed,omitempty"`
}

func addrJSON(links []kernelLink, names map[int]string) (string, error) {
	// Where interfaces are left out, those of pods are.
	pod := func(l kernelLink) int { return map[bool]int{true: 1}[l.Type() == "veth"] }
	slices.SortStableFunc(links, func(a, b kernelLink) int { return pod(a) - pod(b) })
	links, cutLinks := cut(links, mostLinks)
	slices.SortFunc(links, func(a, b kernelLink) int { return cmp.Compare(a.Attrs().Index, b.Attrs().Index) })
	addrs, err := dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if addrs == nil && err != nil {
		return "", fmt.Errorf("listing addresses: %w", err)
	}
	addrs, cutAddrs := cut(addrs, mostAddrs)
	down := map[int]bool{}
	for _, link := range links {
		down[link.Attrs().Index] = link.Attrs().RawFlags&unix.IFF_UP == 0
	}
	of := map[int][]ipAddr{}
	for _, a := range addrs {
		of[a.LinkIndex] = append(of[a.LinkIndex], newAddr(a))
	}
	out := make([]ipLink, len(links))
	for i, link := range links {
		out[i] = newLink(link, names)
		if out[i].Link != "" && down[link.Attrs().ParentIndex] {
			out[i].Flags = append(out[i].Flags, "M-DOWN")
		}
		out[i].Addrs = append([]ipAddr{}, of[out[i].Index]...)
	}
	return lines(out), errors.Join(err, cutLinks, cutAddrs)
}

func newAddr(a netlink.Addr) ipAddr {
	out := ipAddr{Family: familyName(a.IP), Local: a.IP.String(), Scope: scopeName(a.Scope)}
	out.PrefixLen, _ = a.Mask.Size()
	if a.Peer != nil && !a.Peer.IP.Equal(a.IP) {
		out.Peer = a.Peer.IP.String()
		out.PrefixLen, _ = a.Peer.Mask.Size()
	}
	out.Deprecated = a.Flags&unix.IFA_F_DEPRECATED != 0
	out.Tentative = a.Flags&unix.IFA_F_TENTATIVE != 0
	out.DadFailed = a.Flags&unix.IFA_F_DADFAILED != 0
	return out
}

func newLink(link kernelLink, names map[int]string) ipLink {
	a := link.Attrs()
	out := ipLink{
		Index: a.Index, Name: a.Name, Flags: linkFlags(a.RawFlags), MTU: a.MTU, Master: names[a.MasterIndex],
		OperState: operState(a.OperState), Type: linkType(a.EncapType), Address: hardware(a.HardwareAddr, a.EncapType),
		Info: newInfo(link, names),
	}
	switch {
	case a.NetNsID >= 0:
		out.NetNsID, out.LinkIndex = &a.NetNsID, a.ParentIndex
	case a.ParentIndex != 0:
		out.Link = names[a.ParentIndex]
	}
	if s := a.Statistics; s != nil {
		out.Stats.RX.counts = counts{s.RxPackets, s.RxErrors, s.RxDropped}
		out.Stats.RX.Over = s.RxOverErrors
		out.Stats.TX = counts{s.TxPackets, s.TxErrors, s.TxDropped}
	}
	return out
}

// newInfo says of overlays and tunnels where they lead.
func newInfo(link kernelLink, names map[int]string) *linkInfo {
	kind := link.Type()
	if kind == "device" || kind == "" {
		return nil
	}
	data := link.filters
	if data == nil {
		data = map[string]any{}
	}
	addr := func(name string, ip net.IP) {
		if len(ip) > 0 && !ip.IsUnspecified() {
			data[name] = ip.String()
		}
	}
	switch l := link.Link.(type) {
	case *netlink.Vxlan:
		data["id"], data["port"], data["learning"] = l.VxlanId, l.Port, l.Learning
		if l.FlowBased {
			data["external"] = true
		}
		if name := names[l.VtepDevIndex]; name != "" {
			data["link"] = name
		}
		six := map[bool]string{true: "6"}
		addr("local"+six[l.SrcAddr.To4() == nil], l.SrcAddr)
		group := map[bool]string{true: "group", false: "remote"}[l.Group.IsMulticast()]
		addr(group+six[l.Group.To4() == nil], l.Group)
	case *netlink.Geneve:
		data["id"], data["port"] = l.ID, l.Dport
		addr("remote", l.Remote)
	case *netlink.Vlan:
		data["id"] = l.VlanId
	case *netlink.Bond:
		data["mode"] = l.Mode.String()
	case *netlink.Iptun:
		addr("local", l.Local)
		addr("remote", l.Remote)
	case *netlink.Ip6tnl:
		addr("local", l.Local)
		addr("remote", l.Remote)
	}
	return &linkInfo{kind, data}
}
