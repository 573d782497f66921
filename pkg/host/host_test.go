package host_test

import (
	"testing"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

func TestUnknown(t *testing.T) {
	b := facts.NewBuilder(time.Time{}, "", facts.Host)
	b.AddFile("oak", host.Asked, "/etc/a.conf\n/etc/cut.conf\n/etc/d/*.conf\n/etc/e/*.conf\n")
	b.AddFile("oak", "/etc/cut.conf", "begun\n")
	b.AddFile("oak", "/etc/whole.conf", "all\n")
	b.AddFile("oak", "/etc/e/1.conf", "all\n")
	for key, why := range map[string]string{
		"": "its pod failed in the end", "/etc/cut.conf": "larger than 256 KiB", "/etc/d/20.conf": "permission denied", "/etc/d/10.conf": "no text",
		"/etc/d/10.txt": "nobody asked", "/srv": "of the host is not looked at", "/srv/own/x": "a socket",
	} {
		b.Gap(facts.Files, "oak"+key, why)
	}
	b.Gap(facts.Files, "elm", "no pod ran there in time")
	s := b.Build()
	for _, tt := range []struct{ node, name, want string }{
		{"oak", "/etc/whole.conf", ""},
		{"oak", "/etc/a.conf", ""},
		{"oak", "/etc/cut.conf", "larger than 256 KiB"},
		{"oak", "/etc/d/*.conf", "/etc/d/10.conf: no text"},
		{"oak", "/etc/e/*.conf", ""},
		{"oak", "/srv/own/x", "a socket"},
		{"oak", "/srv/other/y", "of the host is not looked at"},
		{"oak", "/etc/never", "its pod failed in the end"},
		{"elm", "/etc/a.conf", "no pod ran there in time"},
		{"yew", "/etc/a.conf", "not read"},
	} {
		if got := host.Of(s, tt.node).Unknown(tt.name); got != tt.want {
			t.Errorf("%s of %s: %q, want %q", tt.name, tt.node, got, tt.want)
		}
	}
}
