package kubelet

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/test/seeds"
)

// FuzzResolvConf gives any text as the file of a node. There are at most as many
// nameservers as the kubelet hands on, each a word of a line that says so, in their order;
// and a file with nothing else in it has the same.
func FuzzResolvConf(f *testing.F) {
	for _, text := range seeds.Files(f, func(name string) bool { return path.Base(name) == "resolv.conf" }) {
		f.Add(string(text))
	}
	for _, text := range []string{
		"", "nameserver", "nameserver ", "nameserver\t127.0.0.53\r\n", " nameserver 1.1.1.1", "nameserver 1.1.1.1 2.2.2.2", "nameserver 1.1.1.1#53",
		"Nameserver 1.1.1.1", "nameservers 1.1.1.1", "nameserver\u00a01.1.1.1", "nameserver\v::1", "#nameserver 1.1.1.1", "; x\nnameserver fe80::1%eth0",
		"nameserver 1\nnameserver 2\nnameserver 3\nnameserver 127.0.0.1", "nameserver \x1b[2J", "nameserver \xff", "nameserver 127.0.0.1\rnameserver ::1",
		strings.Repeat("nameserver 127.0.0.1\n", 9_999), "nameserver " + strings.Repeat("1", 99_999), "search a b\noptions ndots:5", "nameserver\x00127.0.0.1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := nameservers(text)
		if len(got) > maxServers {
			t.Fatalf("%d nameservers", len(got))
		}
		words := strings.Fields(text)
		for _, server := range got {
			for len(words) > 1 && (words[0] != "nameserver" || words[1] != server) {
				words = words[1:]
			}
			if len(words) < 2 {
				t.Fatalf("nobody says that %q is a nameserver, behind those before it", server)
			}
			words = words[2:]
		}
		if again := nameservers(written(got)); !slices.Equal(again, got) {
			t.Errorf("got %q, written out %q", got, again)
		}
		for _, loop := range loopbacks(got) {
			if !slices.Contains(got, loop) {
				t.Errorf("%q is no nameserver", loop)
			}
		}
	})
}

func written(servers []string) string {
	var out strings.Builder
	for _, server := range servers {
		out.WriteString("nameserver " + server + "\n")
	}
	return out.String()
}
