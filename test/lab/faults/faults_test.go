package faults

import (
	"cmp"
	"net/url"
	"os"
	"strings"
	"testing"
)

func TestAllAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range All() {
		t.Run(f.ID, func(t *testing.T) {
			if seen[f.ID] {
				t.Error("the ID is taken")
			}
			seen[f.ID] = true
			if _, err := os.Stat(strings.ReplaceAll(f.ID, "-", "_") + ".go"); err != nil {
				t.Error("the fault has no file of its own:", err)
			}
			if f.Title == "" || strings.HasSuffix(f.Title, ".") {
				t.Errorf("Title = %q, want a line without a full stop", f.Title)
			}
			if f.Impossible == "" && (f.Break == nil || f.Shown == nil || f.Mend == nil) {
				t.Error("it cannot be made, seen and undone")
			}
			if f.Root != "" && len(f.Instead) > 0 {
				t.Errorf("Root = %q, and yet Instead = %q", f.Root, f.Instead)
			}
			if f.Fix != nil && (f.Again == nil || f.Fix[0] != cmp.Or(f.Root, f.Deep)) {
				t.Errorf("Fix = %q with Root = %q, or no Again", f.Fix, f.Root)
			}
		})
	}
	if got := len(All()); got < 36 {
		t.Errorf("there are %d faults, want all 36 of the list", got)
	}
}

func TestNamed(t *testing.T) {
	if f, found := Named("dns-ports"); !found || f.ID != "dns-ports" {
		t.Errorf("Named(dns-ports) = %v, %t", f, found)
	}
	if _, found := Named("no-such-fault"); found {
		t.Error("a fault that does not exist was found")
	}
}

func TestEdits(t *testing.T) {
	for _, tc := range []struct {
		name, text, want string
		edit             func(string) (string, error)
	}{
		{"forward", "forward . /etc/resolv.conf {\n}", "forward . 127.0.0.1 {\n}",
			func(text string) (string, error) { return forwardTo("127.0.0.1")(text), nil }},
		{"field", "mode: iptables\n", "mode: ipvs\n", setProxy("mode", "ipvs")},
		{"server", "clusters:\n- cluster:\n    server: https://10.0.0.1:6443\n  name: a\n", "clusters:\n- cluster:\n    server: https://10.0.0.1:1\n  name: a\n",
			otherServer(func(u *url.URL) { u.Host = u.Hostname() + ":1" })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.edit(tc.text)
			if err != nil || got != tc.want {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestUnusedNeighbour(t *testing.T) {
	for host, want := range map[string]string{"10.77.0.10": "10.77.0.253", "fd00::1": deadAddress, "api.example": deadAddress} {
		if got := unusedNeighbour(host); got != want {
			t.Errorf("unusedNeighbour(%s) = %s, want %s", host, got, want)
		}
	}
}

func TestPortable(t *testing.T) {
	o := portable(object{"kind": "Service", "status": object{}, "metadata": object{"name": "a", "uid": "1", "resourceVersion": "2"}})
	meta := o["metadata"].(object)
	if len(o) != 2 || len(meta) != 1 || meta["name"] != "a" {
		t.Errorf("left of the object: %v", o)
	}
}
