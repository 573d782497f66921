package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

type ipRoute struct {
	Type     string   `json:"type"`
	Dst      string   `json:"dst"`
	Gateway  string   `json:"gateway,omitempty"`
	Via      *ipVia   `json:"via,omitempty"`
	Dev      string   `json:"dev,omitempty"`
	Table    string   `json:"table"`
	Protocol string   `json:"protocol"`
	Scope    string   `json:"scope"`
	PrefSrc  string   `json:"prefsrc,omitempty"`
	Metric   int      `json:"metric,omitempty"`
	MTU      int      `json:"mtu,omitempty"`
	Pref     string   `json:"pref,omitempty"` // of routes of IPv6 alone
	Flags    []string `json:"flags"`
	Hops     []ipHop  `json:"nexthops,omitempty"`
}

type ipVia struct {
	Family string `json:"family"`
	Host   string `json:"host"`
}

type ipHop struct {
	Gateway string   `json:"gateway,omitempty"`
	Via     *ipVia   `json:"via,omitempty"`
	Dev     string   `json:"dev,omitempty"`
	Weight  int      `json:"weight"`
	Flags   []string `json:"flags"`
}

// routeJSON writes the routes of all tables, the table "local" last: each address has one
// in it, and it is what is cut first.
func routeJSON(links map[int]string) (string, error) {
	var out, local []ipRoute
	var failed error
	preferred, err := preferences()
	failed = errors.Join(failed, err)
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := dump(func() ([]netlink.Route, error) {
			return netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		})
		failed = errors.Join(failed, err)
		for _, r := range routes {
			made := newRoute(r, links)
			if family == netlink.FAMILY_V6 {
				made.Pref = preferred[keyOf(r)]
			}
			if r.Table == unix.RT_TABLE_LOCAL {
				local = append(local, made)
			} else {
				out = append(out, made)
			}
		}
	}
	if len(out)+len(local) == 0 && failed != nil {
		return "", fmt.Errorf("listing routes: %w", failed)
	}
	out, cutOut := cut(out, mostRoutes)
	local, cutLocal := cut(local, mostRoutes)
	return lines(append(out, local...)), errors.Join(failed, cutOut, cutLocal)
}

func newRoute(r netlink.Route, links map[int]string) ipRoute {
	out := ipRoute{
		Type: routeType(r.Type), Dst: "default", Dev: links[r.LinkIndex], Table: tableName(r.Table), Protocol: r.Protocol.String(),
		Scope: scopeName(int(r.Scope)), Metric: r.Priority, MTU: r.MTU, Flags: hopFlags(r.Flags), Via: newVia(r.Via),
	}
	if r.Dst != nil {
		out.Dst = prefix(r.Dst)
	}
	if r.Gw != nil {
		out.Gateway = r.Gw.String()
	}
	if r.Src != nil {
		out.PrefSrc = r.Src.String()
	}
	for _, hop := range r.MultiPath {
		h := ipHop{Dev: links[hop.LinkIndex], Weight: hop.Hops + 1, Flags: hopFlags(hop.Flags), Via: newVia(hop.Via)}
		if hop.Gw != nil {
			h.Gateway = hop.Gw.String()
		}
		out.Hops = append(out.Hops, h)
	}
	return out
}

// routeKey tells routes of IPv6 apart.
type routeKey struct {
	to                  netip.Prefix
	table, metric, link uint32
}

func keyOf(r netlink.Route) routeKey {
	key := routeKey{table: uint32(r.Table), metric: uint32(r.Priority), link: uint32(r.LinkIndex)}
	if r.Dst != nil {
		ip, _ := netip.AddrFromSlice(r.Dst.IP.To16())
		ones, _ := r.Dst.Mask.Size()
		key.to = netip.PrefixFrom(ip, ones)
	}
	return key
}

// preferences lists which preference routers gave to routes of IPv6 (RFC 4191), which
// the library leaves out of them.
func preferences() (map[routeKey]string, error) {
	type preference struct {
		key  routeKey
		name string
	}
	list, err := dump(func() (list []preference, err error) {
		req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
		req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: unix.AF_INET6}})
		err = req.ExecuteIter(unix.NETLINK_ROUTE, unix.RTM_NEWROUTE, func(m []byte) bool {
			if key, value, known := preferenceOf(m); known {
				list = append(list, preference{key, map[byte]string{0: "medium", 1: "high", 3: "low"}[value]})
			}
			return true
		})
		return list, err
	})
	out := map[routeKey]string{}
	for _, p := range list {
		out[p.key] = p.name
	}
	return out, err
}

func preferenceOf(m []byte) (key routeKey, value byte, known bool) {
	msg := nl.DeserializeRtMsg(m)
	attrs, err := nl.ParseRouteAttrAsMap(m[msg.Len():])
	if err != nil || len(attrs[unix.RTA_PREF].Value) != 1 {
		return routeKey{}, 0, false
	}
	number := func(kind uint16, otherwise uint32) uint32 {
		if value := attrs[kind].Value; len(value) == 4 {
			return nl.NativeEndian().Uint32(value)
		}
		return otherwise
	}
	ip, is := netip.AddrFromSlice(attrs[unix.RTA_DST].Value)
	if !is {
		ip = netip.IPv6Unspecified()
	}
	key = routeKey{netip.PrefixFrom(ip, int(msg.Dst_len)), number(unix.RTA_TABLE, uint32(msg.Table)), number(unix.RTA_PRIORITY, 0), number(unix.RTA_OIF, 0)}
	return key, attrs[unix.RTA_PREF].Value[0], true
}

func newVia(to netlink.Destination) *ipVia {
	via, ok := to.(*netlink.Via)
	if !ok {
		return nil
	}
	return &ipVia{familyName(via.Addr), via.Addr.String()}
}

type ipRule struct {
	Priority int             `json:"priority"`
	Not      json.RawMessage `json:"not,omitempty"` // null where the rule is turned round
	Src      string          `json:"src"`
	SrcLen   int             `json:"srclen,omitempty"`
	Dst      string          `json:"dst,omitempty"`
	DstLen   int             `json:"dstlen,omitempty"`
	FwMark   string          `json:"fwmark,omitempty"`
	FwMask   string          `json:"fwmask,omitempty"`
	IIF      string          `json:"iif,omitempty"`
	OIF      string          `json:"oif,omitempty"`
	Table    string          `json:"table,omitempty"`
	Suppress *int            `json:"suppress_prefixlen,omitempty"`
	Goto     *int            `json:"goto,omitempty"`
}

// ruleJSON writes the rules of both families, in their order. What a rule without a table
// does, the library does not tell.
func ruleJSON() (string, error) {
	var out []ipRule
	var failed error
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		rules, err := dump(func() ([]netlink.Rule, error) { return netlink.RuleList(family) })
		failed = errors.Join(failed, err)
		for _, r := range rules {
			out = append(out, newRule(r))
		}
	}
	if out == nil && failed != nil {
		return "", fmt.Errorf("listing rules: %w", failed)
	}
	out, cutOut := cut(out, mostNeighs)
	return lines(out), errors.Join(failed, cutOut)
}

func newRule(r netlink.Rule) ipRule {
	out := ipRule{Priority: r.Priority, Src: "all", IIF: r.IifName, OIF: r.OifName}
	if r.Invert {
		out.Not = json.RawMessage("null")
	}
	if r.Src != nil {
		out.Src, out.SrcLen = addrAndLength(r.Src)
	}
	if r.Dst != nil {
		out.Dst, out.DstLen = addrAndLength(r.Dst)
	}
	if r.Mark != 0 || r.Mask != nil && *r.Mask != 0 {
		out.FwMark = fmt.Sprintf("%#x", r.Mark)
		if r.Mark == 0 {
			out.FwMark = "0"
		}
		if r.Mask != nil && *r.Mask != 0xffffffff {
			out.FwMask = fmt.Sprintf("%#x", *r.Mask)
		}
	}
	if r.Table > 0 {
		out.Table = tableName(r.Table)
	}
	if r.SuppressPrefixlen >= 0 {
		out.Suppress = &r.SuppressPrefixlen
	}
	if r.Goto >= 0 {
		out.Goto = &r.Goto
	}
	return out
}

// addrAndLength leaves out the length of a single address.
func addrAndLength(n *net.IPNet) (string, int) {
	ones, bits := n.Mask.Size()
	if ones == bits {
		ones = 0
	}
	return n.IP.String(), ones
}
