package anonymize

import (
	"crypto/aes"
	"crypto/cipher"
	"net/netip"
)

// addresses replaces IP addresses by Crypto-PAn (J. Xu, J. Fan, M. Ammar, S. Moon: "Prefix-
// Preserving IP Address Anonymization", ICNP 2002): whether a bit is turned over depends on
// the key and on the bits before it, so that two addresses that share a prefix still do.
//
// Where an address stands among the kinds that there are must stay, and where it stands in
// the ranges of the cluster: its first, its last. So no bit is turned over on the way to a
// range that means something (private, shared, link-local, multicast …), nor, below a range
// that is written somewhere, on the ways to its first and to its last address.
type addresses struct {
	block cipher.Block
	pad   [aes.BlockSize]byte
	fixed map[netip.Prefix]bool // below these the next bit stays
	known map[netip.Addr]netip.Addr
}

// kinds are ranges that mean something. All of an address in one that is Whole stays.
var kinds = []struct {
	netip.Prefix
	whole bool
}{
	{netip.MustParsePrefix("0.0.0.0/8"), true},
	{netip.MustParsePrefix("10.0.0.0/8"), false},
	{netip.MustParsePrefix("100.64.0.0/10"), false},
	{netip.MustParsePrefix("127.0.0.0/8"), true},
	{netip.MustParsePrefix("169.254.0.0/16"), true},
	{netip.MustParsePrefix("172.16.0.0/12"), false},
	{netip.MustParsePrefix("192.0.0.0/24"), true},
	{netip.MustParsePrefix("192.0.2.0/24"), false},
	{netip.MustParsePrefix("192.88.99.0/24"), true},
	{netip.MustParsePrefix("192.168.0.0/16"), false},
	{netip.MustParsePrefix("198.18.0.0/15"), false},
	{netip.MustParsePrefix("198.51.100.0/24"), false},
	{netip.MustParsePrefix("203.0.113.0/24"), false},
	{netip.MustParsePrefix("224.0.0.0/3"), true}, // multicast, reserved, broadcast, and masks
	{netip.MustParsePrefix("::/8"), true},
	{netip.MustParsePrefix("64:ff9b::/96"), false},
	{netip.MustParsePrefix("2000::/3"), false},
	{netip.MustParsePrefix("2001:db8::/32"), false},
	{netip.MustParsePrefix("fc00::/8"), false},
	{netip.MustParsePrefix("fd00::/8"), false},
	{netip.MustParsePrefix("fe80::/64"), false},
	{netip.MustParsePrefix("ff00::/8"), true},

	// Resolvers that everybody may ask.
	{netip.MustParsePrefix("1.0.0.1/32"), true},
	{netip.MustParsePrefix("1.1.1.1/32"), true},
	{netip.MustParsePrefix("8.8.4.4/32"), true},
	{netip.MustParsePrefix("8.8.8.8/32"), true},
	{netip.MustParsePrefix("9.9.9.9/32"), true},
	{netip.MustParsePrefix("149.112.112.112/32"), true},
	{netip.MustParsePrefix("208.67.220.220/32"), true},
	{netip.MustParsePrefix("208.67.222.222/32"), true},
	{netip.MustParsePrefix("168.63.129.16/32"), true},   // Azure's, in every network there
	{netip.MustParsePrefix("100.100.100.100/32"), true}, // Tailscale's, likewise
	{netip.MustParsePrefix("2001:4860:4860::8844/128"), true},
	{netip.MustParsePrefix("2001:4860:4860::8888/128"), true},
	{netip.MustParsePrefix("2606:4700:4700::1001/128"), true},
	{netip.MustParsePrefix("2606:4700:4700::1111/128"), true},
}

func newAddresses(key [32]byte) (addresses, error) {
	a := addresses{fixed: map[netip.Prefix]bool{}, known: map[netip.Addr]netip.Addr{}}
	var err error
	if a.block, err = aes.NewCipher(key[:16]); err != nil {
		return a, err
	}
	a.block.Encrypt(a.pad[:], key[16:])
	for _, kind := range kinds {
		a.fix(kind.Addr(), 0, kind.Bits())
	}
	return a, nil
}

// fix keeps the bits of an address from one on until another.
func (a *addresses) fix(addr netip.Addr, from, to int) {
	for bits := from; bits < to; bits++ {
		a.fixed[netip.PrefixFrom(addr, bits).Masked()] = true
	}
}

// learn keeps the first and the last address of a range the first and the last.
func (a *addresses) learn(p netip.Prefix) {
	p = netip.PrefixFrom(p.Addr().WithZone(""), p.Bits()).Masked()
	if !p.IsValid() || p.Bits() == 0 || a.fixed[netip.PrefixFrom(p.Addr(), p.Addr().BitLen()-1).Masked()] {
		return
	}
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < p.Addr().BitLen(); i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	a.fix(p.Addr(), p.Bits(), p.Addr().BitLen())
	a.fix(end, p.Bits(), p.Addr().BitLen())
}

// of returns the address that stands for one. The zone stays.
func (a *addresses) of(addr netip.Addr) netip.Addr {
	if addr.Is4In6() {
		return netip.AddrFrom16(a.of(addr.Unmap()).As16())
	}
	bare := addr.WithZone("")
	if out, found := a.known[bare]; found {
		return out.WithZone(addr.Zone())
	}
	out := a.turn(bare)
	a.known[bare] = out
	return out.WithZone(addr.Zone())
}

func (a *addresses) turn(addr netip.Addr) netip.Addr {
	for _, kind := range kinds {
		if kind.whole && kind.Contains(addr) {
			return addr
		}
	}
	in := addr.AsSlice()
	out := addr.AsSlice()
	for bits := range addr.BitLen() {
		if !a.fixed[netip.PrefixFrom(addr, bits).Masked()] && a.turned(in, bits) {
			out[bits/8] ^= 0x80 >> (bits % 8)
		}
	}
	turned, _ := netip.AddrFromSlice(out)
	return turned
}

// turned tells whether the bit behind so many is turned over: the first bit of what the
// cipher makes of those and, behind them, of the pad.
func (a *addresses) turned(addr []byte, bits int) bool {
	in, out := a.pad, [aes.BlockSize]byte{}
	copy(in[:bits/8], addr)
	if rest := bits % 8; rest > 0 {
		mask := byte(0xff) << (8 - rest)
		in[bits/8] = addr[bits/8]&mask | in[bits/8]&^mask
	}
	a.block.Encrypt(out[:], in[:])
	return out[0]&0x80 != 0
}
