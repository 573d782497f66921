package agent

import (
	"net"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The names of iproute2 for the numbers of the kernel (lib/rt_names.c, ip/ipaddress.c,
// ip/rtm_map.c, lib/ll_types.c).

func familyName(ip net.IP) string {
	if ip.To4() != nil {
		return "inet"
	}
	return "inet6"
}

func scopeName(scope int) string {
	switch scope {
	case unix.RT_SCOPE_UNIVERSE:
		return "global"
	case unix.RT_SCOPE_SITE:
		return "site"
	case unix.RT_SCOPE_LINK:
		return "link"
	case unix.RT_SCOPE_HOST:
		return "host"
	case unix.RT_SCOPE_NOWHERE:
		return "nowhere"
	}
	return strconv.Itoa(scope)
}

func operState(state netlink.LinkOperState) string {
	return strings.ToUpper(strings.ReplaceAll(state.String(), "-", ""))
}

func linkType(encap string) string {
	if encap == "unknown823" { // ARPHRD_IP6GRE
		return "gre6"
	}
	return encap
}

// hardware writes the address of a link, which of a tunnel over IP is one of IP.
func hardware(address net.HardwareAddr, encap string) string {
	switch linkType(encap) {
	case "ipip", "sit", "gre", "tunnel6", "gre6":
		if len(address) == net.IPv4len || len(address) == net.IPv6len {
			return net.IP(address).String()
		}
	}
	return address.String()
}

// bit is a bit and its name.
type bit struct {
	bit  uint32
	name string
}

func names(bits uint32, of []bit) []string {
	out := []string{}
	for _, f := range of {
		if bits&f.bit != 0 {
			out = append(out, f.name)
		}
	}
	return out
}

func linkFlags(bits uint32) []string {
	var carrier []string
	if bits&unix.IFF_UP != 0 && bits&unix.IFF_RUNNING == 0 {
		carrier = []string{"NO-CARRIER"}
	}
	return append(carrier, names(bits, []bit{{unix.IFF_LOOPBACK, "LOOPBACK"}, {unix.IFF_BROADCAST, "BROADCAST"}, {unix.IFF_POINTOPOINT, "POINTOPOINT"},
		{unix.IFF_MULTICAST, "MULTICAST"}, {unix.IFF_NOARP, "NOARP"}, {unix.IFF_ALLMULTI, "ALLMULTI"}, {unix.IFF_PROMISC, "PROMISC"},
		{unix.IFF_MASTER, "MASTER"}, {unix.IFF_SLAVE, "SLAVE"}, {unix.IFF_DEBUG, "DEBUG"}, {unix.IFF_DYNAMIC, "DYNAMIC"},
		{unix.IFF_AUTOMEDIA, "AUTOMEDIA"}, {unix.IFF_PORTSEL, "PORTSEL"}, {unix.IFF_NOTRAILERS, "NOTRAILERS"}, {unix.IFF_UP, "UP"},
		{unix.IFF_LOWER_UP, "LOWER_UP"}, {unix.IFF_DORMANT, "DORMANT"}, {unix.IFF_ECHO, "ECHO"}})...)
}

func hopFlags(bits int) []string {
	return names(uint32(bits), []bit{{unix.RTNH_F_DEAD, "dead"}, {unix.RTNH_F_ONLINK, "onlink"}, {unix.RTNH_F_PERVASIVE, "pervasive"},
		{unix.RTNH_F_LINKDOWN, "linkdown"}, {unix.RTNH_F_UNRESOLVED, "unresolved"}})
}

func tableName(table int) string {
	switch table {
	case unix.RT_TABLE_DEFAULT:
		return "default"
	case unix.RT_TABLE_MAIN:
		return "main"
	case unix.RT_TABLE_LOCAL:
		return "local"
	}
	return strconv.Itoa(table)
}

func routeType(kind int) string {
	known := []string{"none", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat", "xresolve"}
	if kind >= 0 && kind < len(known) {
		return known[kind]
	}
	return strconv.Itoa(kind)
}

func neighStates(state int) []string {
	return names(uint32(state), []bit{{netlink.NUD_INCOMPLETE, "INCOMPLETE"}, {netlink.NUD_REACHABLE, "REACHABLE"}, {netlink.NUD_STALE, "STALE"},
		{netlink.NUD_DELAY, "DELAY"}, {netlink.NUD_PROBE, "PROBE"}, {netlink.NUD_FAILED, "FAILED"}, {netlink.NUD_NOARP, "NOARP"},
		{netlink.NUD_PERMANENT, "PERMANENT"}})
}

// fdbState follows bridge/fdb.c.
func fdbState(state int) string {
	switch {
	case state&netlink.NUD_PERMANENT != 0:
		return "permanent"
	case state&netlink.NUD_NOARP != 0:
		return "static"
	case state&netlink.NUD_STALE != 0:
		return "stale"
	case state&netlink.NUD_REACHABLE != 0:
		return ""
	}
	return "state=0x" + strconv.FormatInt(int64(state), 16)
}

func fdbFlags(bits int) []string {
	return names(uint32(bits), []bit{{netlink.NTF_SELF, "self"}, {netlink.NTF_ROUTER, "router"}, {ntfExtLearned, "extern_learn"}, {ntfOffloaded, "offload"}})
}

// Of linux/neighbour.h.
const (
	ntfExtLearned = 0x10
	ntfOffloaded  = 0x20
)

// prefix writes a destination as iproute2 does: a single address without its length.
func prefix(to *net.IPNet) string {
	ones, bits := to.Mask.Size()
	switch ones {
	case 0:
		return "default"
	case bits:
		return to.IP.String()
	}
	return to.String()
}
