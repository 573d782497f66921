package corefile

import (
	"reflect"
	"testing"
)

func TestKnownDirective(t *testing.T) {
	for name, text := range samples(t) {
		for _, b := range parse(t, text).Blocks {
			for _, d := range b.Directives {
				if known := KnownDirective(d.Name); known != (d.Name != "proxy") {
					t.Errorf("%s: %s: got %t", name, d.Name, known)
				}
			}
		}
	}
	for _, name := range []string{"", "proxy", "federation", "kubernetai", "metrics", "Forward"} {
		if KnownDirective(name) {
			t.Errorf("%s is known", name)
		}
	}
}

func TestRemoved(t *testing.T) {
	f := parse(t, samples(t)["proxy.corefile"])
	more := parse(t, ". {\nsecondary {\ntransfer from 10.0.0.2\ntransfer to *\nupstream\n}\nfile db.a {\ntransfer to *\nupstream\n}\nfederation\nforward . 9.9.9.9\n}")
	var got []Removal
	for _, b := range append(f.Blocks, more.Blocks...) {
		for _, d := range b.Directives {
			got = append(got, d.Removed()...)
		}
	}
	want := []Removal{
		{"kubernetes", "upstream", 6, "1.7.0", ""},
		{"kubernetes", "resyncperiod", 7, "1.7.0", ""},
		{"kubernetes", "transfer", 8, "1.8.0", "transfer"},
		{"proxy", "", 12, "1.5.0", "forward"},
		{"secondary", "transfer", 4, "1.8.0", "transfer"},
		{"secondary", "upstream", 5, "1.8.0", ""},
		{"file", "transfer", 8, "1.8.0", "transfer"},
		{"federation", "", 11, "1.7.0", ""},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
