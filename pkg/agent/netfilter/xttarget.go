package netfilter

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// xtTarget makes a target of the xtables that of a rule.
func (r *Rule) xtTarget(name string, revision uint8, info blob, v6 bool) {
	r.Target = word(name)
	switch {
	case name == "DNAT", name == "SNAT", name == "MASQUERADE", name == "REDIRECT":
		r.xtNAT(name, revision, info, v6)
	case name == "MARK" && revision == 2 && len(info) >= 8:
		r.Args = "--set-xmark " + fmt.Sprintf("%#x/%#x", info.u32(0), info.u32(4))
	case name == "REJECT" && len(info) >= 4:
		if how := rejectName(info.u32(0), v6); how != "" {
			r.Args = "--reject-with " + how
		}
	case name == "CT" && info.u16(0)&1 != 0:
		r.Args = "--notrack"
	case name == "TCPMSS" && len(info) >= 2:
		r.Args = "--set-mss " + strconv.Itoa(int(info.u16(0)))
		if info.u16(0) == 0xffff {
			r.Args = "--clamp-mss-to-pmtu"
		}
	}
}

// rejectName returns the word for a number of linux/netfilter_ipv4/ipt_REJECT.h or
// netfilter_ipv6/ip6t_REJECT.h.
func rejectName(how uint32, v6 bool) string {
	names := []string{"icmp-net-unreachable", "icmp-host-unreachable", "icmp-proto-unreachable", "icmp-port-unreachable",
		"", "icmp-net-prohibited", "icmp-host-prohibited", "tcp-reset", "icmp-admin-prohibited"}
	if v6 {
		names = []string{"icmp6-no-route", "icmp6-adm-prohibited", "", "icmp6-addr-unreachable", "icmp6-port-unreachable",
			"", "tcp-reset", "icmp6-policy-fail", "icmp6-reject-route"}
	}
	if int(how) < len(names) {
		return names[how]
	}
	return ""
}

// natRange is where a packet's address is changed to.
type natRange struct {
	flags    uint32
	min, max netip.Addr
	from, to uint16
}

// Flags of linux/netfilter/nf_nat.h.
const (
	natAddrs       = 1
	natPorts       = 2
	natRandom      = 4
	natPersistent  = 8
	natFullyRandom = 16
)

func (r *Rule) xtNAT(name string, revision uint8, info blob, v6 bool) {
	var n natRange
	// Revision 0 of IPv4 counts ranges first, all of which but one are history.
	oldForm := !v6 && (revision == 0 || name == "MASQUERADE")
	switch {
	case oldForm && len(info) >= 20:
		n = natRange{info.u32(4), addr(info[8:12], false), addr(info[12:16], false), info.be16(16), info.be16(18)}
	case !oldForm && len(info) >= 40:
		n = natRange{info.u32(0), addr(info[4:20], v6), addr(info[20:36], v6), info.be16(36), info.be16(38)}
	default:
		return
	}
	r.natArgs(name, n)
}

// addr reads an address of the family; there is room for the longer one.
func addr(b []byte, v6 bool) netip.Addr {
	if !v6 {
		b = b[:min(4, len(b))]
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// natArgs writes a target that changes addresses, and notes where DNAT leads to.
func (r *Rule) natArgs(name string, n natRange) {
	var args []string
	ports := portsText(n.from, n.to)
	ports = strings.Replace(ports, ":", "-", 1)
	if name == "DNAT" || name == "SNAT" {
		option := map[bool]string{true: "--to-destination ", false: "--to-source "}[name == "DNAT"]
		args = append(args, option+n.text(ports))
		if name == "DNAT" && n.flags&natAddrs != 0 && n.flags&natPorts != 0 && n.min == n.max && n.from == n.to {
			r.DNAT = netip.AddrPortFrom(n.min, n.from)
		}
	} else if n.flags&natPorts != 0 {
		args = append(args, "--to-ports "+ports)
	}
	for _, f := range []bit{{natRandom, "--random"}, {natFullyRandom, "--random-fully"}, {natPersistent, "--persistent"}} {
		if n.flags&f.mask != 0 {
			args = append(args, f.name)
		}
	}
	r.Args = strings.Join(args, " ")
}

// text writes where to, as 10.0.0.1-10.0.0.9:80-90.
func (n natRange) text(ports string) string {
	text := ""
	if n.flags&natAddrs != 0 {
		text = n.min.String()
		if n.max != n.min {
			text += "-" + n.max.String()
		}
		if n.flags&natPorts != 0 && n.min.Is6() {
			text = "[" + text + "]"
		}
	}
	if n.flags&natPorts != 0 {
		text += ":" + ports
	}
	return text
}
