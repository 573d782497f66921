package plane

import (
	"testing"
	"time"
)

func TestPostponed(t *testing.T) {
	end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		`{"a":"2025-12-31T23:59:59.5Z","b":"x 2025-02-28T12:00:00+01:00 y"}`: `{"a":"2026-01-01T00:00:09.5Z","b":"x 2025-02-28T12:00:10+01:00 y"}`,
		"E1231 23:59:59.123456       1 a.go:1] x\nW0101 00:00:00.1 y\n":      "E0101 00:00:09.123456       1 a.go:1] x\nW0101 00:00:10.1 y\n",
		"at 1231 23:59:59 in 9999-99-99T99:99:99Z":                           "at 1231 23:59:59 in 9999-99-99T99:99:99Z",
	} {
		if got := string(PostponedLog([]byte(text), end, 10*time.Second)); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}
