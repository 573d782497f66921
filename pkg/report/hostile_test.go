package report_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// poison holds what must not reach a terminal, and a joiner (between the two halves of a
// word of Persian) that must.
const poison = "a\x1b[31mred\x1b]0;title\x07 b\u202egnp.exe\u2066 c\u009b2J d\r\ne\tf\x00g\x7fh\u2028i \xff\xfe <script>alert(1)</script> \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"

func hostile() report.Report {
	s := snapshot(1)
	s.Server, s.Scope = "v1"+poison, "ns"+poison
	finding := checks.Finding{
		Subject: facts.Ref{Kind: "Pod", Namespace: "ns", Name: "pod-" + poison}, Message: "is not Ready:\n\n" + poison,
		Evidence: []checks.Evidence{checks.Quote("Pod "+poison, poison), checks.Quote("log", strings.Repeat("x", 10<<20)),
			checks.Quote("log", strings.Repeat("many words ", 1<<20)), checks.Quote("log", strings.Repeat("𝔵", 1<<20)), checks.Quote("empty", "")},
		Remedy: "Delete " + poison + strings.Repeat("!", 1<<20),
		Places: []facts.Ref{{Kind: "Pod", Namespace: "ns", Name: poison + strings.Repeat("p", 1<<20)}},
	}
	symptom := finding
	symptom.Evidence = nil
	r := made(s, checks.Result{Check: noRoute, Status: checks.Failed, Findings: []checks.Finding{finding}},
		checks.Result{Check: notReady, Status: checks.Failed, Findings: []checks.Finding{symptom}},
		checks.Result{Check: clockSkew, Status: checks.Unknown, Reason: poison + strings.Repeat(" why", 1<<20)})
	r.Bundle = "/tmp/" + poison
	r.Roots[0].More = finding.Places
	return r
}

// acts tells whether a character could act on a terminal or turn the direction of text.
func acts(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

func TestTextHoldsNoControlCharacters(t *testing.T) {
	for name, r := range reports(t) {
		for _, format := range []string{"text", "wide"} {
			text := write(t, r, format, report.Style{Width: 80})
			for i, c := range text {
				if acts(c) && c != '\n' {
					t.Errorf("%s.%s: %q at byte %d: %q", name, format, c, i, text[max(0, i-40):i])
				}
			}
			if !utf8.ValidString(text) {
				t.Errorf("%s.%s: not UTF-8", name, format)
			}
		}
	}
	if text := write(t, hostile(), "text", report.Style{Width: 80}); !strings.Contains(text, "\u06cc\u200c\u062e") {
		t.Error("a zero-width joiner inside a word was taken out")
	}
}

func TestLinesFit(t *testing.T) {
	const longest = 400 + 1 + 6 // a word cut, its ellipsis, the indent
	for name, r := range reports(t) {
		for _, width := range []int{80, 100, 132, 200} {
			for line := range strings.Lines(write(t, r, "wide", report.Style{Width: width})) {
				line = strings.TrimSuffix(line, "\n")
				n := utf8.RuneCountInString(line)
				command := strings.HasPrefix(line, "    kubectl ")
				if n > width && len(strings.Fields(line)) > 1 && !command || n > longest {
					t.Errorf("%s: %d columns of %d: %q", name, n, width, line)
				}
				if strings.TrimRight(line, " ") != line {
					t.Errorf("%s: blanks at the end of %q", name, line)
				}
			}
		}
	}
}

var painted = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func TestColorAddsNothingElse(t *testing.T) {
	for name, r := range reports(t) {
		got, want := write(t, r, "text", report.Style{Width: 80, Color: true}), write(t, r, "text", report.Style{Width: 80})
		if !painted.MatchString(got) {
			t.Errorf("%s: no colour", name)
		}
		if got = painted.ReplaceAllString(got, ""); got != want {
			t.Errorf("%s: without the colours it is another text:\n%s\nwant:\n%s", name, got, want)
		}
	}
}

func TestProgramsReadWhatWasThere(t *testing.T) {
	type parsed struct {
		Roots []struct {
			Message, Remedy string
			Places          []facts.Ref
			Evidence        []struct{ Text string }
		}
		Results []struct{ Reason string }
	}
	texts := map[string]string{}
	for _, format := range []string{"json", "yaml"} {
		texts[format] = write(t, hostile(), format, report.Style{})
	}
	for _, c := range texts["json"] {
		if acts(c) && c != '\n' {
			t.Fatalf("json: %q stands there unescaped", c)
		}
	}
	for _, c := range texts["yaml"] {
		if unicode.IsControl(c) && c != '\n' {
			t.Fatalf("yaml: %q stands there unescaped", c)
		}
	}
	for format, text := range texts {
		var got parsed
		if format == "json" {
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatal(err)
			}
		} else if err := yaml.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		root := got.Roots[0]
		want := "is not Ready:\n\n" + strings.ToValidUTF8(poison, "\uFFFD")
		if strings.ReplaceAll(root.Message, "\uFFFD\uFFFD", "\uFFFD") != want {
			t.Errorf("%s: got message %q, want %q", format, root.Message, want)
		}
		strs := []string{root.Message, root.Remedy, root.Places[0].Name, got.Results[2].Reason}
		for _, e := range root.Evidence {
			strs = append(strs, e.Text)
		}
		for _, s := range strs {
			if n := utf8.RuneCountInString(s); n > 4001 {
				t.Errorf("%s: %d characters of %q… were kept, want at most 4000 and an ellipsis", format, n, s[:20])
			}
		}
		if e := root.Evidence[1].Text; !strings.HasSuffix(e, "xx…") || utf8.RuneCountInString(e) != 4001 {
			t.Errorf("%s: a line of 10 MB was kept as %d characters, want 4000 and an ellipsis", format, utf8.RuneCountInString(e))
		}
	}
}
