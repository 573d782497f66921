package host

import (
	"net/netip"
	"strconv"
	"strings"
)

// FlannelFile is where Flannel's agent writes which range its node has, unless it is told
// otherwise.
const FlannelFile = "/run/flannel/subnet.env"

// Flannel is what Flannel's agent wrote for its program on a node
// (flannel-io/flannel pkg/subnet, WriteSubnetFile).
type Flannel struct {
	Subnet netip.Prefix // the node's IPv4 range; not valid where none stands there
	MTU    int          // of new pods, in bytes; 0 where none stands there
}

// Flannel reads such a file; of one that was not read it is empty.
func (v View) Flannel(file string) Flannel {
	var f Flannel
	text, _ := v.Read(file)
	for line := range strings.Lines(text) {
		switch key, value, _ := strings.Cut(strings.TrimSpace(line), "="); key {
		case "FLANNEL_SUBNET":
			if p, err := netip.ParsePrefix(value); err == nil {
				f.Subnet = p.Masked()
			}
		case "FLANNEL_MTU":
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				f.MTU = n
			}
		}
	}
	return f
}
