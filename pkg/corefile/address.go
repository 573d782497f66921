package corefile

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// An Address is one zone that a server block serves, and how.
type Address struct {
	Transport string // dns, tls, https, https3, quic, grpc or unix
	Zone      string // in lower case with the final dot: ".", "cluster.local."
	Port      string // a number; "" only for unix
}

// ParseAddress reads the key of a server block: [SCHEME://]ZONE[:PORT]. A zone
// in CIDR notation becomes the reverse zones that cover it, which are several
// where the prefix does not end between two labels. The error says what CoreDNS
// says when it refuses such a key at start-up.
func ParseAddress(key string) ([]Address, error) {
	transport, rest := cutTransport(key)
	zone, port, err := cutPort(rest)
	if err != nil {
		return nil, err
	}
	if port == "" {
		port = defaultPort(transport)
	}
	zones, err := expandCIDR(zone)
	if err != nil {
		return nil, err
	}
	var addresses []Address
	for _, z := range zones {
		addresses = append(addresses, Address{Transport: transport, Zone: normalize(z), Port: port})
	}
	return addresses, nil
}

// maxAddresses bounds what the keys of a block may expand to. One key stands
// for up to 128 zones.
const maxAddresses = 1 << 14

// Addresses returns what the keys of the block mean, without those that CoreDNS
// refuses. It ends after the key with which there are more than 16384.
func (b *Block) Addresses() []Address { return addresses(b.Keys) }

func addresses(keys []string) []Address {
	var all []Address
	for _, key := range keys {
		more, err := ParseAddress(key)
		if err == nil {
			all = append(all, more...)
		}
		if len(all) > maxAddresses {
			break
		}
	}
	return all
}

// Zones returns the zones of the block, each once, in lower case with the final
// dot and without scheme and port.
func (b *Block) Zones() []string { return b.Origins(nil) }

// Origins returns the zones for which a plugin works: those among its arguments,
// or those of the block where the plugin is given none. This is how kubernetes,
// cache, file and others read theirs. They are written as in Zones.
func (b *Block) Origins(args []string) []string {
	if len(args) == 0 {
		args = b.Keys
	}
	var zones []string
	seen := map[string]bool{}
	for _, a := range addresses(args) {
		if !seen[a.Zone] {
			seen[a.Zone] = true
			zones = append(zones, a.Zone)
		}
	}
	return zones
}

// BlockFor returns the block that answers a name asked over plain DNS on a
// port: of those that listen there, the one with the longest zone that contains
// the name. It returns nil if there is none. It knows nothing of the plugins
// bind and view, with which several blocks may serve the same zone.
func (f *File) BlockFor(name, port string) *Block {
	var best *Block
	longest := 0
	for _, b := range f.Blocks {
		for _, a := range b.Addresses() {
			if a.Transport == "dns" && a.Port == port && Contains(a.Zone, name) && len(a.Zone) > longest {
				best, longest = b, len(a.Zone)
			}
		}
	}
	return best
}

// Contains reports whether a name is the zone or lies below it. Case and the
// final dot do not matter.
func Contains(zone, name string) bool {
	zone, name = normalize(zone), normalize(name)
	return zone == "." || name == zone || strings.HasSuffix(name, "."+zone)
}

func normalize(zone string) string {
	return strings.ToLower(strings.TrimSuffix(zone, ".")) + "."
}

// cutTransport takes off the scheme. Without a known one it is plain DNS.
func cutTransport(s string) (transport, rest string) {
	before, after, found := strings.Cut(s, "://")
	if found && (defaultPort(before) != "" || before == "unix") {
		return before, after
	}
	return "dns", s
}

func defaultPort(transport string) string {
	switch transport {
	case "dns":
		return "53"
	case "tls", "quic":
		return "853"
	case "grpc", "https", "https3":
		return "443"
	}
	return ""
}

// cutPort takes off the port. Behind the last colon there must be something, but
// only a number is a port: an IPv6 prefix has colons too.
func cutPort(s string) (zone, port string, err error) {
	colon := strings.LastIndexByte(s, ':')
	if colon >= 0 && colon == len(s)-1 {
		return "", "", fmt.Errorf("expecting data after last colon: %q", s)
	}
	zone = s
	if n, err := strconv.Atoi(s[colon+1:]); err == nil && colon >= 0 {
		zone, port = s[:colon], strconv.Itoa(n)
	}
	if len(zone) > 255 {
		return "", "", fmt.Errorf("specified zone is too long: %d > 255", len(zone))
	}
	if zone == "" {
		return "", "", fmt.Errorf("zone is not a valid domain name: %s", zone)
	}
	return zone, port, nil
}

// expandCIDR returns the reverse zones for a prefix, and any other zone as it
// is.
func expandCIDR(zone string) ([]string, error) {
	_, prefix, err := net.ParseCIDR(zone)
	if err != nil {
		return []string{zone}, nil
	}
	if zone[0] == ':' || zone[0] == '0' && strings.Contains(zone, ":") {
		return nil, fmt.Errorf("invalid CIDR %s", zone)
	}
	step, suffix, base := 8, "in-addr.arpa", 10 // bits for each label
	if len(prefix.IP) == net.IPv6len {
		step, suffix, base = 4, "ip6.arpa", 16
	}
	ones, _ := prefix.Mask.Size()
	labels := (ones + step - 1) / step
	var zones []string
	for i := range 1 << (labels*step - ones) {
		name := suffix
		for k := range labels {
			label := uint64(bits(prefix.IP, k, step))
			if k == labels-1 {
				label += uint64(i)
			}
			name = strconv.FormatUint(label, base) + "." + name
		}
		zones = append(zones, name)
	}
	return zones, nil
}

// bits returns the k-th group of 4 or 8 bits.
func bits(ip net.IP, k, size int) byte {
	if size == 8 {
		return ip[k]
	}
	if k%2 == 0 {
		return ip[k/2] >> 4
	}
	return ip[k/2] & 0xF
}
