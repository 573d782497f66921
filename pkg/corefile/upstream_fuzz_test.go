package corefile

import (
	"net"
	"path"
	"strings"
	"testing"
)

// FuzzWord gives any word of a Corefile. As a target of forward it is what the one of its
// parts says that is set, and an address means the same when it is written in full. As a
// key of a server block its zones are written so that they are read as the same again.
func FuzzWord(f *testing.F) {
	for _, text := range starts(f) {
		for _, token := range lex(text) {
			f.Add(token.text)
		}
	}
	for _, text := range []string{
		"", ":", "[", "]", "[]", "[]:53", "%", "%%", "://", "dns://", "tls://[::1%lo]:853", "tls://::%a:1%", "::ffff:127.0.0.1", "127.0.0.1:", "[::]:",
		"unix:///x", "dns://dns://::1", "10.0.0.0/9:053", "2001:db8::/33", "0::/1", "::/0", "0.0.0.0/0", "0.0.0.0/1", "a:-1", "a:+53", "{$A}:{%B%}",
		"/etc/resolv.conf:53", "[/x]:1", "K\u212A.example", "\u0130.", "..", "a..", ".:", strings.Repeat("a", 256), strings.Repeat(":", 300), "\xff",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u := ParseUpstream(text)
		checkUpstream(t, text, u)
		addresses, err := ParseAddress(text)
		if err != nil {
			if len(addresses) > 0 {
				t.Errorf("ParseAddress(%q) = %v, %v", text, addresses, err)
			}
			return
		}
		checkAddresses(t, text, addresses)
	})
}

func checkUpstream(t *testing.T, text string, u Upstream) {
	t.Helper()
	if again := ParseUpstream(text); u.Text != text || again != u {
		t.Errorf("ParseUpstream(%q) = %+v, and then %+v", text, u, again)
	}
	if u.Transport != "unix" && defaultPort(u.Transport) == "" {
		t.Errorf("%q: unknown transport %q", text, u.Transport)
	}
	address, file := u.Kind == UpstreamAddress, u.Kind == UpstreamFile
	if u.Addr.IsValid() != address || u.Addr.Zone() != "" || !address && u.Port != "" {
		t.Errorf("%q is of kind %s with address %s and port %q", text, u.Kind, u.Addr, u.Port)
	}
	if (u.Path != "") != file || file && !path.IsAbs(u.Path) {
		t.Errorf("%q is of kind %s with path %q", text, u.Kind, u.Path)
	}
	if Placeholder(text) != (u.Kind == UpstreamPlaceholder) || u.Loopback() && !address {
		t.Errorf("%q is of kind %s, loopback %t", text, u.Kind, u.Loopback())
	}
	if !address {
		return
	}
	full := ParseUpstream(u.Transport + "://" + net.JoinHostPort(u.Addr.String(), u.Port))
	full.Text = text
	if full != u {
		t.Errorf("%q is %+v, written in full %+v", text, u, full)
	}
}

func checkAddresses(t *testing.T, text string, addresses []Address) {
	t.Helper()
	if n := len(addresses); n < 1 || n > 128 {
		t.Errorf("%q stands for %d zones", text, n)
	}
	for _, a := range addresses {
		if !strings.HasSuffix(a.Zone, ".") || len(a.Zone) > 256*4 || !Contains(a.Zone, "x."+a.Zone) || !Contains(a.Zone, a.Zone) {
			t.Errorf("%q has the zone %q", text, a.Zone)
		}
		if a.Transport != addresses[0].Transport || a.Port != addresses[0].Port || a.Port == "" && a.Transport != "unix" {
			t.Errorf("%q stands for %+v", text, addresses)
		}
	}
}
