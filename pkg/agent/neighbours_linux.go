package agent

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

type ipNeigh struct {
	Dst    string   `json:"dst"`
	Dev    string   `json:"dev"`
	LLAddr string   `json:"lladdr,omitempty"`
	State  []string `json:"state"`
}

// neighJSON leaves out what "ip neigh" does: entries that need no asking.
func neighJSON(links map[int]string) (string, error) {
	out, err := neighbours([]uint8{netlink.FAMILY_V4, netlink.FAMILY_V6}, func(n *netlink.Neigh) (ipNeigh, bool) {
		addr := n.HardwareAddr.String()
		if n.LLIPAddr != nil {
			addr = n.LLIPAddr.String()
		}
		return ipNeigh{n.IP.String(), links[n.LinkIndex], addr, neighStates(n.State)}, n.State&^netlink.NUD_NOARP != 0
	})
	if out == nil && err != nil {
		return "", fmt.Errorf("listing neighbours: %w", err)
	}
	return lines(out), err
}

type bridgeFDB struct {
	MAC    string   `json:"mac"`
	Name   string   `json:"ifname"`
	Dst    string   `json:"dst,omitempty"`
	VLAN   int      `json:"vlan,omitempty"`
	VNI    int      `json:"vni,omitempty"`
	Flags  []string `json:"flags"`
	Master string   `json:"master,omitempty"`
	State  string   `json:"state"`
}

// fdbJSON leaves out the multicast addresses that every interface listens to.
func fdbJSON(links map[int]string) (string, error) {
	out, err := neighbours([]uint8{unix.AF_BRIDGE}, func(n *netlink.Neigh) (bridgeFDB, bool) {
		e := bridgeFDB{MAC: n.HardwareAddr.String(), Name: links[n.LinkIndex], VLAN: n.Vlan, VNI: n.VNI, Flags: fdbFlags(n.Flags),
			Master: links[n.MasterIndex], State: fdbState(n.State)}
		if n.IP != nil {
			e.Dst = n.IP.String()
		}
		noise := n.IP == nil && len(n.HardwareAddr) > 0 && n.HardwareAddr[0]&1 != 0 && slices.Contains(e.Flags, "self")
		return e, !noise
	})
	if out == nil && err != nil {
		return "", fmt.Errorf("listing the bridges' addresses: %w", err)
	}
	return lines(out), err
}

// neighbours lists entries of families as each makes them, and stops taking them at the
// bound.
func neighbours[T any](families []uint8, each func(*netlink.Neigh) (T, bool)) (out []T, err error) {
	for _, family := range families {
		found, failed := dump(func() (list []T, err error) {
			req := nl.NewNetlinkRequest(unix.RTM_GETNEIGH, unix.NLM_F_DUMP)
			req.AddData(&netlink.Ndmsg{Family: family})
			err = req.ExecuteIter(unix.NETLINK_ROUTE, unix.RTM_NEWNEIGH, func(m []byte) bool {
				if n, bad := netlink.NeighDeserialize(m); bad == nil && n.Family == int(family) {
					if item, wanted := each(n); wanted {
						list = append(list, item)
					}
				}
				return len(list) <= mostNeighs
			})
			return list, err
		})
		out, err = append(out, found...), errors.Join(err, failed)
	}
	out, cutOut := cut(out, mostNeighs)
	return out, errors.Join(err, cutOut)
}
