package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// kernelLink is an interface with what the library leaves out of it.
type kernelLink struct {
	netlink.Link
	filters map[string]any // of a bridge: whether it passes packets to the packet filters, by the names of iproute2
}

func listLinks() (links []kernelLink, err error) {
	var failed error
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	err = req.ExecuteIter(unix.NETLINK_ROUTE, unix.RTM_NEWLINK, func(m []byte) bool {
		link, err := netlink.LinkDeserialize(nil, m)
		if err != nil {
			failed = err
			return true
		}
		links = append(links, kernelLink{link, bridgeFilters(m)})
		return true
	})
	return links, errors.Join(err, failed)
}

// bridgeFilters reads them from a message about an interface; there are none of what is
// no bridge.
func bridgeFilters(m []byte) map[string]any {
	attrs, err := nl.ParseRouteAttrAsMap(m[unix.SizeofIfInfomsg:])
	if err != nil {
		return nil
	}
	info, err := nl.ParseRouteAttrAsMap(attrs[unix.IFLA_LINKINFO].Value)
	if err != nil || strings.TrimRight(string(info[nl.IFLA_INFO_KIND].Value), "\x00") != "bridge" {
		return nil
	}
	data, err := nl.ParseRouteAttrAsMap(info[nl.IFLA_INFO_DATA].Value)
	if err != nil {
		return nil
	}
	out := map[string]any{}
	for kind, name := range map[uint16]string{nl.IFLA_BR_NF_CALL_IPTABLES: "nf_call_iptables", nl.IFLA_BR_NF_CALL_IP6TABLES: "nf_call_ip6tables",
		nl.IFLA_BR_NF_CALL_ARPTABLES: "nf_call_arptables"} {
		if value := data[kind].Value; len(value) == 1 {
			out[name] = int(value[0])
		}
	}
	return out
}

// dump lists again what changed while it was listed, a few times; after that what it has
// stands beside the error.
func dump[T any](list func() ([]T, error)) (out []T, err error) {
	for range 3 {
		if out, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return out, err
		}
	}
	return out, errors.New("changed while it was read: some may be missing")
}

func cut[T any](list []T, most int) ([]T, error) {
	if len(list) <= most {
		return list, nil
	}
	return list[:most], fmt.Errorf("of more than %d entries, %d are kept", most, most)
}

// lines writes a JSON array with an element a line, so that single ones can be quoted.
func lines[T any](list []T) string {
	var out strings.Builder
	out.WriteString("[")
	for i, item := range list {
		data, err := json.Marshal(item)
		if err != nil {
			continue // none of these types can fail
		}
		if i > 0 {
			out.WriteString(",")
		}
		out.WriteString("\n" + string(data))
	}
	out.WriteString("\n]\n")
	return out.String()
}
