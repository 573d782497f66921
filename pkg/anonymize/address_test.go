package anonymize

import (
	"net/netip"
	"testing"
)

// The vectors are those of the authors' own program (Crypto-PAn 1.0, sample_trace_sanitized),
// and, for IPv6, of the documentation of yacryptopan.
func TestCryptoPAn(t *testing.T) {
	authors := [32]byte{21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
		216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2}
	documented := [32]byte([]byte("32-char-str-for-AES-key-and-pad."))
	for _, tc := range []struct {
		key      [32]byte
		in, want string
	}{
		{authors, "128.11.68.132", "135.242.180.132"},
		{authors, "129.118.74.4", "134.136.186.123"},
		{authors, "130.132.252.244", "133.68.164.234"},
		{authors, "141.223.7.43", "141.167.8.160"},
		{authors, "141.233.145.108", "141.129.237.235"},
		{authors, "152.163.225.39", "151.140.114.167"},
		{authors, "156.29.3.236", "147.225.12.42"},
		{authors, "165.247.96.84", "162.9.99.234"},
		{authors, "166.107.77.190", "160.132.178.185"},
		{authors, "192.102.249.13", "252.138.62.131"},
		{documented, "192.0.2.1", "192.0.125.244"},
		{documented, "2001:db8::1", "27fe:8bc7:fee:1e:1e1f:f0fe:f0e1:83fd"},
	} {
		a, err := newAddresses(tc.key)
		if err != nil {
			t.Fatal(err)
		}
		a.fixed = nil // no kinds: the algorithm as it was published
		if got := a.turn(netip.MustParseAddr(tc.in)).String(); got != tc.want {
			t.Errorf("%s became %s, want %s", tc.in, got, tc.want)
		}
	}
}

func commonBits(a, b netip.Addr) int {
	x, y := a.AsSlice(), b.AsSlice()
	for i := range a.BitLen() {
		if (x[i/8]^y[i/8])&(0x80>>(i%8)) != 0 {
			return i
		}
	}
	return a.BitLen()
}

func TestAddressesKeepWhatMatters(t *testing.T) {
	for seed := range byte(20) {
		a, err := newAddresses([32]byte{seed, 1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"10.96.0.0/12", "10.244.0.0/16", "10.244.3.0/24", "172.18.32.0/20", "192.168.7.64/26", "fd12:3456:7800::/56", "203.0.113.0/24"} {
			a.learn(netip.MustParsePrefix(p))
		}
		var in []netip.Addr
		for _, text := range []string{"10.96.0.0", "10.96.0.1", "10.96.0.10", "10.111.255.255", "10.244.3.0", "10.244.3.1", "10.244.3.17", "10.244.3.255", "10.245.0.1", "172.18.32.0", "172.18.47.255",
			"172.18.48.0", "192.168.7.64", "192.168.7.70", "203.0.113.9", "5.6.7.8", "8.8.8.8", "8.8.8.9", "127.0.0.53", "169.254.20.10", "100.64.9.9", "11.0.0.1", "9.255.0.1"} {
			in = append(in, netip.MustParseAddr(text))
		}
		for i, x := range in {
			for _, y := range in[:i] {
				if got, want := commonBits(a.of(x), a.of(y)), commonBits(x, y); got != want {
					t.Errorf("%s and %s share %d bits, %s and %s %d", x, y, want, a.of(x), a.of(y), got)
				}
			}
			if got := a.of(x); got.IsPrivate() != x.IsPrivate() || got.IsLoopback() != x.IsLoopback() || got.IsLinkLocalUnicast() != x.IsLinkLocalUnicast() || got.IsMulticast() != x.IsMulticast() {
				t.Errorf("%s became %s, of another kind", x, got)
			}
		}
		for _, stays := range []string{"8.8.8.8", "1.1.1.1", "127.0.0.53", "169.254.169.254", "0.0.0.0", "255.255.240.0", "224.0.0.1", "::1", "::", "ff02::1", "2001:4860:4860::8888"} {
			if got := a.of(netip.MustParseAddr(stays)).String(); got != stays {
				t.Errorf("%s became %s", stays, got)
			}
		}
		for _, p := range []string{"10.96.0.0/12", "172.18.32.0/20", "192.168.7.64/26", "fd12:3456:7800::/56"} {
			prefix := netip.MustParsePrefix(p)
			out := netip.PrefixFrom(a.of(prefix.Addr()), prefix.Bits())
			if out != out.Masked() {
				t.Errorf("the range %s became %s, which begins in its middle", p, out)
			}
			if got, want := a.of(prefix.Addr().Next()), out.Addr().Next(); got != want {
				t.Errorf("the second address of %s became %s, want %s", p, got, want)
			}
		}
		if got := a.of(netip.MustParseAddr("fe80::858:aff:fef4:105%eth0")); !got.IsLinkLocalUnicast() || got.Zone() != "eth0" {
			t.Errorf("a link-local address became %s", got)
		}
	}
}

func TestAddressesAreReplaced(t *testing.T) {
	same := 0
	for seed := range byte(100) {
		a, err := newAddresses([32]byte{seed, 9})
		if err != nil {
			t.Fatal(err)
		}
		if x := netip.MustParseAddr("10.20.30.40"); a.of(x) == x {
			same++
		}
	}
	if same > 1 {
		t.Errorf("of 100 keys %d leave an address as it is", same)
	}
}
