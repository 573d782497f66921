package corefile

import "net/netip"

// A listener is where a block can be reached. It is worked out once for a
// block, since a hostile Corefile may have very many keys and very many targets
// to compare with them.
type listener struct {
	ports map[port]bool
	all   bool // on every address, or at least on all of loopback
	addrs map[netip.Addr]bool
}

type port struct{ transport, number string }

func newListener(b *Block) listener {
	l := listener{ports: map[port]bool{}, addrs: map[netip.Addr]bool{}}
	for _, key := range b.Keys {
		transport, rest := cutTransport(key)
		if _, number, err := cutPort(rest); err == nil {
			if number == "" {
				number = defaultPort(transport)
			}
			l.ports[port{transport, number}] = true
		}
	}
	binds := b.Find("bind")
	l.all = len(binds) == 0
	for _, bind := range binds {
		for _, arg := range bind.Args {
			addr := ParseUpstream(arg).Addr.Unmap()
			l.addrs[addr] = true
			l.all = l.all || arg == "lo" || addr.IsValid() && addr.IsUnspecified()
		}
	}
	return l
}

// Hears reports whether an upstream is the block's own server, so that what it
// forwards there comes back: a loopback address with a port on which the block
// listens. Other ports are no mistake: a common configuration forwards to
// 127.0.0.1:5301 and serves that port in another block. A block with bind hears
// only the addresses that are named there.
func (b *Block) Hears(u Upstream) bool {
	return u.Loopback() && b.listener.ports[port{u.Transport, u.Port}] &&
		(b.listener.all || b.listener.addrs[u.Addr.Unmap()])
}
