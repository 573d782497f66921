package report_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "coredns", "coredns"},
		{"one line", " a\nb\r\nc\td ", "a b  c d"},
		{"escape sequence", "\x1b[2J", "\uFFFD[2J"},
		{"C1 control", "\u009b2J", "\uFFFD2J"},
		{"delete and null", "a\x7fb\x00c", "a\uFFFDb\uFFFDc"},
		{"direction", "a\u202eb\u2066c\u200fd", "a\uFFFDb\uFFFDc\uFFFDd"},
		{"separators", "a\u2028b\u2029c", "a\uFFFDb\uFFFDc"},
		{"joiners stay", "a\u200cb\u200dc", "a\u200cb\u200dc"},
		{"not UTF-8", "a\xffb", "a\uFFFDb"},
		{"markup stays", "<b>&amp;", "<b>&amp;"},
		{"just fits", strings.Repeat("a", 400), strings.Repeat("a", 400)},
		{"cut", strings.Repeat("a", 401), strings.Repeat("a", 400) + "…"},
		{"cut between letters of four bytes", strings.Repeat("𝔵", 401), strings.Repeat("𝔵", 400) + "…"},
		{"cut far", strings.Repeat("𝔵", 100_000), strings.Repeat("𝔵", 400) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := report.Clean(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCleanLineKeepsBlanks(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"blanks", "+\t\tforward .  x ", "+\t\tforward .  x "},
		{"escape sequence", "-\x1b[2J", "-\uFFFD[2J"},
		{"long", strings.Repeat("b", 5000), strings.Repeat("b", 4000) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := report.CleanLine(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	f.Add(poison)
	f.Add(strings.Repeat("\xf0\x9d\x94", 900))
	f.Fuzz(func(t *testing.T, text string) {
		for name, got := range map[string]string{"Clean": report.Clean(text), "CleanLine": strings.ReplaceAll(report.CleanLine(text), "\t", "")} {
			if !utf8.ValidString(got) || strings.ContainsFunc(got, acts) {
				t.Errorf("%s(%q) = %q: not safe for a terminal", name, text, got)
			}
		}
		if n := utf8.RuneCountInString(report.Clean(text)); n > 401 {
			t.Errorf("Clean(%q) has %d characters, want at most 400 and an ellipsis", text, n)
		}
	})
}

func FuzzWrap(f *testing.F) {
	f.Add("a word, another one  and\ta-very-long-one-that-stands-alone é ü 漢字", uint8(0))
	f.Add("", uint8(60))
	f.Add(" \n ", uint8(180))
	f.Fuzz(func(t *testing.T, text string, w uint8) {
		width := 20 + int(w)%181
		lines := report.Wrap(text, width)
		if len(lines) == 0 {
			t.Fatal("no line at all")
		}
		if got, want := strings.Fields(strings.Join(lines, " ")), strings.Fields(text); !slices.Equal(got, want) {
			t.Errorf("got words %q, want %q", got, want)
		}
		for i, line := range lines {
			n := utf8.RuneCountInString(line)
			if n > width && len(strings.Fields(line)) > 1 {
				t.Errorf("line %d has %d of %d columns: %q", i, n, width, line)
			}
			if next := i + 1; next < len(lines) {
				first, _, _ := strings.Cut(lines[next], " ")
				if n+1+utf8.RuneCountInString(first) <= width {
					t.Errorf("line %d breaks although %q fits: %q", i, first, line)
				}
			}
		}
	})
}
