package host

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
)

// RouteFile is the file with a node's routes.
const RouteFile = "/ip-route.json"

// Route is a way out of a node, as its main table has it.
type Route struct {
	To     netip.Prefix
	Devs   []string // the interfaces by which it leads: several where it has several next hops
	Metric int      // of two to the same range the one with the lower metric is taken
}

// routeInfo is what iproute2 prints of a route ("ip -json route show table all").
type routeInfo struct {
	Type    string `json:"type"`
	To      string `json:"dst"`
	Dev     string `json:"dev"`
	Gateway string `json:"gateway"`
	Via     struct {
		Family string `json:"family"`
	} `json:"via"` // a gateway of the other family
	Table  string `json:"table"`
	Metric int    `json:"metric"`
	Pref   string `json:"pref"` // of routes of IPv6 alone
	Hops   []struct {
		Dev     string `json:"dev"`
		Gateway string `json:"gateway"`
	} `json:"nexthops"`
}

// Routes returns the routes of the main table that lead somewhere, the narrowest first. The
// error says that the file is not what it should be; where it was not read there are none.
func (v View) Routes() ([]Route, error) {
	text, found := v.Read(RouteFile)
	if !found {
		return nil, nil
	}
	var infos []routeInfo
	if err := json.Unmarshal([]byte(text), &infos); err != nil {
		return nil, fmt.Errorf("%s is not what ip -json prints", RouteFile)
	}
	var out []Route
	for i := range infos {
		if r, ok := infos[i].route(); ok {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b Route) int {
		return cmp.Or(cmp.Compare(b.To.Bits(), a.To.Bits()), cmp.Compare(a.Metric, b.Metric))
	})
	return out, nil
}

func (i *routeInfo) route() (Route, bool) {
	main := slices.Contains([]string{"", "main", "254"}, i.Table)
	unicast := slices.Contains([]string{"", "unicast"}, i.Type)
	r := Route{Metric: i.Metric}
	if i.Dev != "" {
		r.Devs = append(r.Devs, i.Dev)
	}
	for _, h := range i.Hops {
		if h.Dev != "" {
			r.Devs = append(r.Devs, h.Dev)
		}
	}
	var known bool
	r.To, known = i.destination()
	return r, main && unicast && known && len(r.Devs) > 0
}

// destination reads the range of a route, of which the default one does not tell the family.
func (i *routeInfo) destination() (netip.Prefix, bool) {
	if i.To == "default" {
		text := i.Gateway
		if text == "" && len(i.Hops) > 0 {
			text = i.Hops[0].Gateway
		}
		gateway, err := netip.ParseAddr(text)
		if i.Pref != "" || err == nil && gateway.Is6() && i.Via.Family == "" {
			return netip.PrefixFrom(netip.IPv6Unspecified(), 0), true
		}
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0), true
	}
	if p, err := netip.ParsePrefix(i.To); err == nil {
		return p.Masked(), true
	}
	ip, err := netip.ParseAddr(i.To)
	return netip.PrefixFrom(ip, ip.BitLen()), err == nil
}

// DevsTo returns the interfaces by which packets leave for the addresses of a range, sorted:
// those of all routes into the range, and where none of them covers it, those of the
// narrowest that does.
func DevsTo(routes []Route, to netip.Prefix) []string {
	var out []string
	for _, r := range routes {
		if !r.To.Overlaps(to) {
			continue
		}
		out = append(out, r.Devs...)
		if r.To.Bits() <= to.Bits() {
			break
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
