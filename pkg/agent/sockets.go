package agent

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// mostSocketBytes is what is read of one of the kernel's lists of sockets, which have
// 150 bytes a connection.
const mostSocketBytes = 64 << 20

// listeners reads a list in the form of /proc/net/tcp (proc_net_tcp in the kernel's
// documentation) and returns the addresses and ports on which somebody listens: in the
// state TCP_LISTEN, or of UDP what is not connected.
func listeners(proto string, list io.Reader) ([]string, error) {
	state := map[string]string{"tcp": "0A", "udp": "07"}[proto]
	found := map[string]bool{}
	limited := &io.LimitedReader{R: list, N: mostSocketBytes}
	lines := bufio.NewScanner(limited)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 4 || words[3] != state {
			continue
		}
		at, err := socketAddr(words[1])
		if err != nil {
			return nil, err
		}
		found[proto+" "+at.String()] = true
	}
	out := slices.Sorted(maps.Keys(found))
	if err := lines.Err(); err != nil {
		return out, err
	}
	if limited.N == 0 {
		return out, fmt.Errorf("the list of sockets is longer than %d MiB", mostSocketBytes>>20)
	}
	return out, nil
}

// socketAddr reads 0100007F:1F90: the words of the address as the processor keeps them,
// the port as it is written.
func socketAddr(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	data, err := hex.DecodeString(address)
	number, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(data) != 4 && len(data) != 16 {
		return netip.AddrPort{}, fmt.Errorf("%.60q is no address of a socket", text)
	}
	for i := 0; i < len(data); i += 4 {
		binary.NativeEndian.PutUint32(data[i:], binary.BigEndian.Uint32(data[i:]))
	}
	ip, _ := netip.AddrFromSlice(data)
	return netip.AddrPortFrom(ip, uint16(number)), nil
}
