package integration

import (
	"regexp"
	"testing"
	"time"
)

const seconds = "2006-01-02T15:04:05"

var (
	moment = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`)
	// klogTime stands in front of the lines of Kubernetes' programs: month and day without
	// a year.
	klogTime = regexp.MustCompile(`(?m)^[IWEF]\d{4} \d\d:\d\d:\d\d`)
)

// postponed moves every time in an object by whole seconds, wherever it stands. Fractions
// of seconds and zones stay.
func postponed(raw []byte, by time.Duration) []byte {
	return moment.ReplaceAllFunc(raw, func(text []byte) []byte {
		at, err := time.Parse(seconds, string(text))
		if err != nil {
			return text
		}
		return at.Add(by).AppendFormat(nil, seconds)
	})
}

// postponedLog moves the times of a log that ends at a time: what a log says must be as
// long ago as before.
func postponedLog(text []byte, end time.Time, by time.Duration) []byte {
	const layout = "20060102 15:04:05"
	return klogTime.ReplaceAllFunc(postponed(text, by), func(text []byte) []byte {
		at, err := time.Parse(layout, end.UTC().Format("2006")+string(text[1:]))
		if err != nil {
			return text
		}
		if at.After(end.Add(24 * time.Hour)) {
			at = at.AddDate(-1, 0, 0)
		}
		return at.Add(by).AppendFormat(text[:1:1], layout[4:])
	})
}

func TestPostponed(t *testing.T) {
	end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		`{"a":"2025-12-31T23:59:59.5Z","b":"x 2025-02-28T12:00:00+01:00 y"}`: `{"a":"2026-01-01T00:00:09.5Z","b":"x 2025-02-28T12:00:10+01:00 y"}`,
		"E1231 23:59:59.123456       1 a.go:1] x\nW0101 00:00:00.1 y\n":      "E0101 00:00:09.123456       1 a.go:1] x\nW0101 00:00:10.1 y\n",
		"at 1231 23:59:59 in 9999-99-99T99:99:99Z":                           "at 1231 23:59:59 in 9999-99-99T99:99:99Z",
	} {
		if got := string(postponedLog([]byte(text), end, 10*time.Second)); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}
