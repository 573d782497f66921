package anonymize

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// What takes the square of a line's length takes 256 times as long of one line as of its
// pieces. What is linear takes as long, give or take what else the machine does.
const (
	longLine = 16 << 10
	piece    = 64
	slower   = 32
)

// hostile are texts of which each part may be the beginning of something that ends further on.
var hostile = []string{
	"a:", ":", "a::", "ab:cd:", "cafe:", "1:", "1.", "1-", "1.2.3.", "255.1.999.", "0.0.0.0.00.", "a.", "f.0.", "1.a:", "a-", "12345678-", "1-1.",
	"AbAb", "aB", "Ab1", "PodIP", "\\", "\\\\n", "\\u0041", "0123456789abcdef", "0x", "/", "1/", "10.0.0.1/8,", "é", "Éa", "\xff",
	`"name":`, `"name":"`, `"hosts":[`, `"labels":{`, `"labels":{"a":"b",`, `"`, `":`,
}

// No line takes much more time than as many bytes in short ones.
func TestLongLines(t *testing.T) {
	for _, part := range hostile {
		t.Run(part, func(t *testing.T) {
			for _, tail := range []string{"", "999", ":1.2.3.4", "g", ".ip6.arpa", `"]`} {
				line := strings.Repeat(part, longLine/len(part)) + tail
				lines := strings.Repeat(strings.Repeat(part, piece/len(part))+tail+"\n", longLine/piece)
				long, short := time.Hour, time.Hour
				for try := 0; try < 8 && (try == 0 || long > slower*short); try++ {
					short = min(short, passing(t, lines))
					long = min(long, passing(t, line))
				}
				if long > slower*short {
					t.Fatalf("%q before %q takes %s in one line, %s in lines of %d bytes", part, tail, long, short, piece)
				}
			}
		})
	}
}

// passing returns how long a text takes to be learned and replaced, and so one that is a name.
func passing(t *testing.T, text string) time.Duration {
	a := seeded(t, 1)
	name := []byte(`{"name":"` + strings.ReplaceAll(text, `"`, "") + `"}`)
	start := time.Now()
	for line := range bytes.Lines([]byte(text)) {
		a.learnRanges(line)
		a.learnNames(line)
	}
	for line := range bytes.Lines(name) {
		a.learnRanges(line)
		a.learnNames(line)
		a.Append(nil, line)
	}
	for line := range strings.Lines(text) {
		_ = a.String(line)
	}
	return time.Since(start)
}
