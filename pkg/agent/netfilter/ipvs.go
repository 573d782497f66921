package netfilter

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// IPVS reads /proc/net/ip_vs. Fronts whose address is virtual, that is one of kube-proxy's
// own interface kube-ipvs0, are of kind cluster, whichever address of a Service it is: the
// table does not tell. Every other front is a port of the node. An endpoint without weight
// is on its way out and takes no new connections.
func IPVS(text string, virtual map[netip.Addr]bool) ([]host.ServiceRule, error) {
	var out []host.ServiceRule
	ports := map[string]bool{} // of nodes, which come once for every address
	at := -1
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 3 {
			continue
		}
		switch words[0] {
		case "TCP", "UDP", "SCTP":
			front, err := ipvsAddr(words[1])
			if err != nil {
				return nil, err
			}
			rule := ipvsFront(strings.ToLower(words[0]), front, virtual)
			at = -1
			if which := fmt.Sprint(rule.Proto, rule.Front, front.Addr().Is4()); rule.Kind != kindNodePort || !ports[which] {
				ports[which] = true
				out = append(out, rule)
				at = len(out) - 1
			}
		case "FWM":
			at = -1
		case "->":
			if at < 0 || words[1] == "RemoteAddress:Port" || len(words) < 4 || words[3] == "0" {
				continue
			}
			end, err := ipvsAddr(words[1])
			if err != nil {
				return nil, err
			}
			out[at].Endpoints = append(out[at].Endpoints, end)
		}
	}
	return out, nil
}

func ipvsFront(proto string, front netip.AddrPort, virtual map[netip.Addr]bool) host.ServiceRule {
	if virtual[front.Addr()] {
		return host.ServiceRule{Mode: "ipvs", Proto: proto, Front: front.String(), Kind: kindCluster}
	}
	return host.ServiceRule{Mode: "ipvs", Proto: proto, Front: "nodeport:" + strconv.Itoa(int(front.Port())), Kind: kindNodePort}
}

// ipvsAddr reads 0A600001:01BB or [2001:0db8:…]:01BB.
func ipvsAddr(text string) (netip.AddrPort, error) {
	wrong := fmt.Errorf("ip_vs: %.60q is no address", text)
	at := strings.LastIndexByte(text, ':')
	if at < 0 {
		return netip.AddrPort{}, wrong
	}
	port, err := hex.DecodeString(text[at+1:])
	if err != nil || len(port) != 2 {
		return netip.AddrPort{}, wrong
	}
	addr, err := netip.ParseAddr(strings.Trim(text[:at], "[]"))
	if err != nil {
		raw, errHex := hex.DecodeString(text[:at])
		four, ok := netip.AddrFromSlice(raw)
		if errHex != nil || !ok || len(raw) != 4 {
			return netip.AddrPort{}, wrong
		}
		addr = four
	}
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port)), nil
}
