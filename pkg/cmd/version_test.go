package cmd

import "testing"

func TestAsTag(t *testing.T) {
	for version, want := range map[string]string{
		"v0.1.0":      "v0.1.0",
		"v1.2.3-rc.1": "v1.2.3-rc.1",
		"(devel)":     "devel",
		"v0.1.1-0.20260102030405-0123456789ab+dirty": "v0.1.1-0.20260102030405-0123456789ab-dirty",
	} {
		if got := asTag(version); got != want {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
	}
}
