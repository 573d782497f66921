package plane

import (
	"regexp"
	"time"
)

const seconds = "2006-01-02T15:04:05"

var (
	moment = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`)
	// klogTime stands in front of the lines of Kubernetes' programs: month and day without
	// a year.
	klogTime = regexp.MustCompile(`(?m)^[IWEF]\d{4} \d\d:\d\d:\d\d`)
)

// Postponed moves every time in a text by whole seconds, wherever it stands. Fractions of
// seconds and zones stay.
func Postponed(text []byte, by time.Duration) []byte {
	return moment.ReplaceAllFunc(text, func(was []byte) []byte {
		at, err := time.Parse(seconds, string(was))
		if err != nil {
			return was
		}
		return at.Add(by).AppendFormat(nil, seconds)
	})
}

// PostponedLog moves the times of a log that ends at a time: what a log says must be as
// long ago as before.
func PostponedLog(text []byte, end time.Time, by time.Duration) []byte {
	const layout = "20060102 15:04:05"
	return klogTime.ReplaceAllFunc(Postponed(text, by), func(text []byte) []byte {
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
