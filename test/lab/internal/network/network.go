package network

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Addresses of every lab. Labs are strangers to each other and may share them.
const (
	ControlPlaneAddress = "10.77.0.10"
	UpstreamDNSAddress  = "10.77.0.53" // also every machine's gateway
	PodRange            = "10.244.0.0/16"
	prefixLength        = 24
	nodesFrom           = 10 // node1 has the address after this one
)

// MaxNodes is how many nodes fit between the addresses of the other machines.
const MaxNodes = 9

// Network is the network of one lab.
type Network struct {
	Prefix string // of its namespaces' names
	Nodes  []string
}

// Switch is the namespace that connects the others; the upstream DNS server
// lives there.
func (n Network) Switch() Namespace { return n.namespace("sw") }

// ControlPlane is the namespace of the control plane's processes.
func (n Network) ControlPlane() Namespace { return n.namespace("cp") }

// Node is the namespace of a node.
func (n Network) Node(name string) Namespace { return n.namespace(name) }

func (n Network) namespace(machine string) Namespace {
	return Namespace(n.Prefix + "-" + machine)
}

// NodeAddress returns the address of a node, the first of which is number 1.
func NodeAddress(number int) string {
	return fmt.Sprintf("10.77.0.%d", nodesFrom+number)
}

// Create makes all namespaces and connects them.
func (n Network) Create() error {
	sw := n.Switch()
	if err := sw.Create(); err != nil {
		return err
	}
	if err := makeSwitch(sw); err != nil {
		return fmt.Errorf("making the switch: %w", err)
	}
	machines := map[string]string{"cp": ControlPlaneAddress}
	for i, node := range n.Nodes {
		machines[node] = NodeAddress(i + 1)
	}
	for machine, address := range machines {
		ns := n.namespace(machine)
		if err := ns.Create(); err != nil {
			return err
		}
		if err := plugIn(sw, ns, machine, address); err != nil {
			return fmt.Errorf("connecting %s: %w", machine, err)
		}
	}
	return nil
}

// Leftovers returns the namespaces that exist, of this network or of another
// with the same prefix.
func (n Network) Leftovers() ([]Namespace, error) {
	entries, err := os.ReadDir(namespaceDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listing network namespaces: %w", err)
	}
	ours := regexp.MustCompile("^" + regexp.QuoteMeta(n.Prefix) + `-(sw|cp|node\d+)$`)
	var found []Namespace
	for _, e := range entries {
		if ours.MatchString(e.Name()) {
			found = append(found, Namespace(e.Name()))
		}
	}
	return found, nil
}

// Route makes the control plane reach a range by way of a node. Without it the
// API server's proxy to pods and Services would reach none.
func (n Network) Route(podRange, via string) error {
	_, dst, err := net.ParseCIDR(podRange)
	if err != nil {
		return fmt.Errorf("reading a pod range: %w", err)
	}
	return inside(n.ControlPlane(), func(h *netlink.Handle) error {
		return h.RouteReplace(&netlink.Route{Dst: dst, Gw: net.ParseIP(via)})
	})
}

// inside calls f with a handle on the namespace's links, addresses and routes.
func inside(ns Namespace, f func(*netlink.Handle) error) error {
	file, err := os.Open(ns.Path())
	if err != nil {
		return fmt.Errorf("opening network namespace %s: %w", ns, err)
	}
	defer file.Close()
	// A protocol that is not named would be spoken outside of the namespace.
	h, err := netlink.NewHandleAt(netns.NsHandle(file.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("entering network namespace %s: %w", ns, err)
	}
	defer h.Close()
	return f(h)
}

func makeSwitch(ns Namespace) error {
	err := inside(ns, func(h *netlink.Handle) error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "br0"
		if err := h.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
			return err
		}
		if err := configure(h, "br0", UpstreamDNSAddress); err != nil {
			return err
		}
		return up(h, "lo")
	})
	if err != nil {
		return err
	}
	// Frames between machines are nobody's business here.
	return setSysctl(ns, "net/bridge/bridge-nf-call-iptables", "0")
}

// plugIn connects a machine's eth0 to the switch.
func plugIn(sw, ns Namespace, machine, address string) error {
	file, err := os.Open(ns.Path())
	if err != nil {
		return err
	}
	defer file.Close()
	err = inside(sw, func(h *netlink.Handle) error {
		bridge, err := h.LinkByName("br0")
		if err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MasterIndex = machine, bridge.Attrs().Index
		cable := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(file.Fd())}
		if err := h.LinkAdd(cable); err != nil {
			return err
		}
		return up(h, machine)
	})
	if err != nil {
		return err
	}
	err = inside(ns, func(h *netlink.Handle) error {
		if err := up(h, "lo"); err != nil {
			return err
		}
		if err := configure(h, "eth0", address); err != nil {
			return err
		}
		return h.RouteAdd(&netlink.Route{Gw: net.ParseIP(UpstreamDNSAddress)})
	})
	if err != nil {
		return err
	}
	return setSysctl(ns, "net/ipv4/ip_forward", "1")
}

func configure(h *netlink.Handle, link, address string) error {
	l, err := h.LinkByName(link)
	if err != nil {
		return err
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(address), Mask: net.CIDRMask(prefixLength, 32)}}
	if err := h.AddrAdd(l, addr); err != nil {
		return err
	}
	return h.LinkSetUp(l)
}

func up(h *netlink.Handle, link string) error {
	l, err := h.LinkByName(link)
	if err != nil {
		return err
	}
	return h.LinkSetUp(l)
}

// setSysctl sets a value of the namespace; /proc/sys/net is that of the thread
// which opens it.
func setSysctl(ns Namespace, name, value string) error {
	return ns.Do(func() error {
		return os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0)
	})
}
