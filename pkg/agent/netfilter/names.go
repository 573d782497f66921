package netfilter

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Families of nf_tables.
const (
	familyINet   = 1
	familyIPv4   = 2
	familyARP    = 3
	familyNetdev = 5
	familyBridge = 7
	familyIPv6   = 10
)

func familyName(family byte) string {
	switch family {
	case familyINet:
		return "inet"
	case familyIPv4:
		return "ip"
	case familyARP:
		return "arp"
	case familyNetdev:
		return "netdev"
	case familyBridge:
		return "bridge"
	case familyIPv6:
		return "ip6"
	}
	return strconv.Itoa(int(family))
}

// hookName returns the name of a hook in the words of nft.
func hookName(family byte, hook uint32) string {
	names := []string{"prerouting", "input", "forward", "output", "postrouting", "ingress"}
	switch family {
	case familyARP:
		names = []string{"input", "output", "forward"}
	case familyNetdev:
		names = []string{"ingress", "egress"}
	}
	if int(hook) < len(names) {
		return names[hook]
	}
	return strconv.Itoa(int(hook))
}

// builtin returns the chain of iptables at a hook.
func builtin(hook uint32) string {
	if names := []string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}; int(hook) < len(names) {
		return names[hook]
	}
	return ""
}

// Protocols whose ports are read.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132
)

// protoName returns a protocol's name as /etc/protocols has it, or its number.
func protoName(proto uint8) string {
	switch proto {
	case protoICMP:
		return "icmp"
	case 2:
		return "igmp"
	case 4:
		return "ipencap"
	case protoTCP:
		return "tcp"
	case protoUDP:
		return "udp"
	case 33:
		return "dccp"
	case 41:
		return "ipv6"
	case 47:
		return "gre"
	case 50:
		return "esp"
	case 51:
		return "ah"
	case protoICMPv6:
		return "ipv6-icmp"
	case 89:
		return "ospf"
	case 103:
		return "pim"
	case 112:
		return "vrrp"
	case protoSCTP:
		return "sctp"
	case 136:
		return "udplite"
	}
	return strconv.Itoa(int(proto))
}

// network writes an address and a mask as iptables-save does; "" where everything fits.
func network(addr, mask []byte) string {
	ip, ok := netip.AddrFromSlice(addr)
	if !ok || len(mask) != len(addr) {
		return "?"
	}
	ones := 0
	for ones < 8*len(mask) && mask[ones/8]&(0x80>>(ones%8)) != 0 {
		ones++
	}
	if !bytes.Equal(mask, prefixMask(ones, len(mask))) {
		wild, _ := netip.AddrFromSlice(mask)
		return ip.String() + "/" + wild.String()
	}
	if ones == 0 {
		return ""
	}
	return netip.PrefixFrom(ip, ones).String()
}

// prefixMask returns a mask of size bytes whose first bits are set.
func prefixMask(ones, size int) []byte {
	mask := make([]byte, size)
	for i := range ones {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return mask
}

func portsText(from, to uint16) string {
	if from == to {
		return strconv.Itoa(int(from))
	}
	return strconv.Itoa(int(from)) + ":" + strconv.Itoa(int(to))
}

func maskedText(value, mask uint32) string {
	if mask == ^uint32(0) {
		return fmt.Sprintf("%#x", value)
	}
	return fmt.Sprintf("%#x/%#x", value, mask)
}

// bitNames joins the names of the bits that are set, in the order of the list; whole is false
// where others are set too.
func bitNames(bits uint32, list []bit) (text string, whole bool) {
	var names []string
	for _, b := range list {
		if bits&b.mask != 0 {
			names = append(names, b.name)
			bits &^= b.mask
		}
	}
	return strings.Join(names, ","), bits == 0
}

type bit struct {
	mask uint32
	name string
}

// xtStates are connection states of the conntrack match, nftStates those of nf_tables.
func xtStates() []bit {
	return []bit{{1, "INVALID"}, {8, "NEW"}, {4, "RELATED"}, {2, "ESTABLISHED"}, {0x100, "UNTRACKED"}, {0x40, "SNAT"}, {0x80, "DNAT"}}
}

func nftStates() []bit {
	return []bit{{1, "INVALID"}, {8, "NEW"}, {4, "RELATED"}, {2, "ESTABLISHED"}, {0x40, "UNTRACKED"}}
}

func tcpFlags(bits uint8) string {
	switch bits & 0x3f {
	case 0:
		return "NONE"
	case 0x3f:
		return "ALL"
	}
	text, _ := bitNames(uint32(bits&0x3f), []bit{{1, "FIN"}, {2, "SYN"}, {4, "RST"}, {8, "PSH"}, {16, "ACK"}, {32, "URG"}})
	return text
}

// addrTypes are types of addresses in the order of their numbers in routes.
func addrTypes() []bit {
	var out []bit
	for i, name := range strings.Fields("UNSPEC UNICAST LOCAL BROADCAST ANYCAST MULTICAST BLACKHOLE UNREACHABLE PROHIBIT THROW NAT XRESOLVE") {
		out = append(out, bit{1 << i, name})
	}
	return out
}
