package host

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
)

// AddrFile is the file with a node's network interfaces.
const AddrFile = "/ip-addr.json"

// Link is a network interface of a node.
type Link struct {
	Name   string
	MTU    int    // the largest packet in bytes, without the frame's header
	Kind   string // what the kernel made it as: bridge, veth, vxlan, ipip …; "" for a device
	Master string // the bridge or bond that it is a port of, or ""
	Up     bool
	Addrs  []netip.Prefix

	Under    string     // the interface that a tunnel sends by, where it was told one
	Local    netip.Addr // the address that a tunnel sends from, where it was told one
	External bool       // each packet brings what the tunnel is to put around it, as with Cilium and Open vSwitch
	Filters  bool       // a bridge that passes packets to the packet filter whatever the node's setting is
}

// addrInfo is what iproute2 prints of an interface ("ip -json -details addr"), as far as it
// is read here.
type addrInfo struct {
	Name   string   `json:"ifname"`
	MTU    int      `json:"mtu"`
	Flags  []string `json:"flags"`
	Master string   `json:"master"`
	Info   struct {
		Kind string `json:"info_kind"`
		Data struct {
			Link     string `json:"link"`
			Local    string `json:"local"`
			Local6   string `json:"local6"`
			External bool   `json:"external"`
			Filters  int    `json:"nf_call_iptables"`
		} `json:"info_data"`
	} `json:"linkinfo"`
	Addrs []struct {
		Local string `json:"local"`
		Bits  int    `json:"prefixlen"`
	} `json:"addr_info"`
}

// Links returns the interfaces in the order of the file. The error says that the file is not
// what it should be, or lists none: every network namespace has lo. Where it was not read
// there are none, and none is wrong.
func (v View) Links() ([]Link, error) {
	text, found := v.Read(AddrFile)
	if !found {
		return nil, nil
	}
	var infos []addrInfo
	if err := json.Unmarshal([]byte(text), &infos); err != nil {
		return nil, fmt.Errorf("%s is not what ip -json prints", AddrFile)
	}
	if len(infos) == 0 {
		return nil, fmt.Errorf("%s lists no interface, and every node has lo", AddrFile)
	}
	out := make([]Link, 0, len(infos))
	for i := range infos {
		out = append(out, infos[i].link())
	}
	return out, nil
}

func (i *addrInfo) link() Link {
	data := &i.Info.Data
	l := Link{
		Name: i.Name, MTU: i.MTU, Kind: i.Info.Kind, Master: i.Master, Up: slices.Contains(i.Flags, "UP"),
		Under: data.Link, External: data.External, Filters: data.Filters == 1,
	}
	for _, text := range []string{data.Local, data.Local6} {
		if ip, err := netip.ParseAddr(text); err == nil {
			l.Local = ip
		}
	}
	for _, a := range i.Addrs {
		ip, err := netip.ParseAddr(a.Local)
		if p := netip.PrefixFrom(ip, a.Bits); err == nil && p.IsValid() {
			l.Addrs = append(l.Addrs, p)
		}
	}
	return l
}

// LinkNamed returns the interface of a name, or nil.
func LinkNamed(links []Link, name string) *Link {
	for i := range links {
		if links[i].Name == name {
			return &links[i]
		}
	}
	return nil
}
