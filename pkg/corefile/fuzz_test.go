package corefile

import (
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy/caddyfile"

	"github.com/kubectl-netdoctor/netdoctor/test/seeds"
)

// samples are the Corefiles of testdata, also with the line endings of Windows.
func samples(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.corefile")
	if err != nil || len(files) == 0 {
		t.Fatalf("no Corefiles in testdata: %v", err)
	}
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(file)] = string(text)
		texts[filepath.Base(file)+" crlf"] = strings.ReplaceAll(string(text), "\n", "\r\n")
		texts[filepath.Base(file)+" unended"] = strings.TrimSpace(string(text))
	}
	return texts
}

// starts are what the fuzzer starts from beside the oddities: the samples and the
// Corefiles of the captured clusters.
func starts(t testing.TB) []string {
	t.Helper()
	return append(slices.Sorted(maps.Values(samples(t))), seeds.Values(t, "Corefile")...)
}

// oddities are texts at the edges of the grammar.
var oddities = []string{
	"", "\uFEFF. {\n}", "\"", `"\`, `"a`, `""`, `a"b c"`, `"a"b`, `"a\"b\c"`, "\"a\nb\" c", "a\rb\r\nc",
	"a#b c # d\ne", "#", "a\u00a0b", "\xff\xfe", "{", "}", ".", ". {", ".,", "., {", "a,\nb {\n}", "{\nwhoami\n}",
	".\nerrors\n}\nb", ". {\nerrors }", ". {\nerrors {\n", ". {\nerrors\n{\na\n}\n}", ". {\na {\nb {\n{ c\n} } d\n} e\n}",
	". { a\n}", "(a) {\nx\ny { z\n}\n}\n. {\nimport a\nq\n}", "(a) {\nimport a\n}", "(a) {\nimport b\n}\n(b) {\nimport a\n}\nimport a",
	"(a) {\n}\n(a) {\n}", "(a)", "(a)\n", "(a) {\n", "()\n{\n}\nimport \"\"", "(a) { x }\n. {\ny {\nimport a\nimport a\n}\n}",
	"(a) {\nimport b\n}\n(b) {\nimport a\n}\n. {\nimport a\n}", "(a) {\nimport b\n}\n(b) {\nimport a\n}\n. {\nx {\nimport a\n}\n}",
	"(a) {\n. {\nlog\n}\n}\nimport a\nimport a", ". {\nimport\n}", ". {\nimport a b\n}", " \ufeff", "import {", "import }", ". {\na {\nimport {\n}\n}", "a, import b {", "import a",
	"(a) {\nimport b\n}\n(b) {\n.\n}\nimport a {\n}", ". {\nx {\nimport nowhere\n}\nimport nowhere\n}\nimport nowhere\n",
}

// FuzzTokens holds lex against the lexer of CoreDNS, and proves that the
// offsets account for every byte.
func FuzzTokens(f *testing.F) {
	for _, text := range starts(f) {
		f.Add(text)
	}
	for _, text := range oddities {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tokens := lex(text)
		theirs := caddyfile.NewDispenser("Corefile", strings.NewReader(text))
		end := 0
		for _, ours := range tokens {
			if !theirs.Next() {
				t.Fatalf("CoreDNS has no token %+v", ours)
			}
			if ours.text != theirs.Val() || ours.line != theirs.Line() {
				t.Fatalf("got %q in line %d, CoreDNS has %q in line %d", ours.text, ours.line, theirs.Val(), theirs.Line())
			}
			if gap := lex(text[end:ours.start]); len(gap) > 0 {
				t.Fatalf("token %+v is left out before %+v", gap[0], ours)
			}
			if again := lex(" " + text[ours.start:ours.end]); len(again) != 1 || again[0].text != ours.text {
				t.Fatalf("%q is written for %q", text[ours.start:ours.end], ours.text)
			}
			end = ours.end
		}
		if theirs.Next() {
			t.Fatalf("CoreDNS has one more token: %q in line %d", theirs.Val(), theirs.Line())
		}
		if gap := lex(text[end:]); len(gap) > 0 {
			t.Fatalf("token %+v is left out at the end", gap[0])
		}
	})
}

// FuzzParse holds Parse against the parser of CoreDNS: the same blocks, or the
// same error.
func FuzzParse(f *testing.F) {
	for _, text := range starts(f) {
		f.Add(text)
	}
	for _, text := range oddities {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ours, err := Parse(text)
		if err != nil {
			if _, ok := errors.AsType[*SyntaxError](err); !ok || ours != nil {
				t.Fatalf("Parse = %v, %#v", ours, err)
			}
		}
		if !hermetic(text) || err == nil && len(ours.Imports) > 0 {
			return
		}
		theirs, theirErr := caddyfile.Parse("Corefile", strings.NewReader(text), nil)
		if theirErr != nil || err != nil {
			compareErrors(t, err, theirErr)
			return
		}
		if len(ours.Blocks) != len(theirs) {
			t.Fatalf("%d blocks, CoreDNS has %d", len(ours.Blocks), len(theirs))
		}
		for i, block := range ours.Blocks {
			if !reflect.DeepEqual(block.Keys, theirs[i].Keys) {
				t.Errorf("keys %q, CoreDNS has %q", block.Keys, theirs[i].Keys)
			}
			if got, want := words(block), theirWords(theirs[i]); !reflect.DeepEqual(got, want) {
				t.Errorf("block %d: %q, CoreDNS has %q", i, got, want)
			}
		}
	})
}

// hermetic tells texts for which the parser of CoreDNS neither looks into the
// environment nor searches for files outside of this directory.
func hermetic(text string) bool {
	tokens := lex(text)
	for i, t := range tokens {
		imported := i > 0 && tokens[i-1].text == "import"
		environment := strings.Contains(t.text, "{$") || strings.Contains(t.text, "{%")
		if environment || imported && strings.ContainsAny(t.text, `/\*?[~.`) {
			return false
		}
	}
	return true
}

func compareErrors(t *testing.T, ours, theirs error) {
	t.Helper()
	switch {
	case theirs != nil && strings.Contains(theirs.Error(), "o import"): // a file; ours may fail later
	case ours != nil && strings.Contains(ours.Error(), "snippets import more than"):
	case ours == nil || theirs == nil || ours.Error() != theirs.Error():
		t.Errorf("error %v, CoreDNS has %v", ours, theirs)
	}
}

// words lists what belongs to the directives of each name, without braces and
// empty words: the tree does not show where an empty block stood, and gives a
// block without a name an empty one.
func words(b *Block) map[string][]string {
	all := map[string][]string{}
	for _, d := range b.Directives {
		all[d.Name] = append(all[d.Name], withoutBraces(appendWords(nil, d))...)
	}
	return all
}

func appendWords(to []string, d *Directive) []string {
	to = append(to, d.Name)
	to = append(to, d.Args...)
	for _, option := range d.Options {
		to = appendWords(to, option)
	}
	return append(to, d.Trailing...)
}

func withoutBraces(words []string) []string {
	var rest []string
	for _, w := range words {
		if w != "{" && w != "}" && w != "" {
			rest = append(rest, w)
		}
	}
	return rest
}

func theirWords(b caddyfile.ServerBlock) map[string][]string {
	all := map[string][]string{}
	for name, tokens := range b.Tokens {
		for _, t := range tokens {
			all[name] = append(all[name], t.Text)
		}
		all[name] = withoutBraces(all[name])
	}
	return all
}

var newUpstreams = []netip.AddrPort{
	netip.MustParseAddrPort("10.0.0.2:53"), netip.MustParseAddrPort("[2001:db8::2]:5353"), netip.MustParseAddrPort("10.0.0.2:0"),
}

// FuzzRewrite proves that a rewritten Corefile forwards as told and is the same
// in everything else.
func FuzzRewrite(f *testing.F) {
	for _, text := range starts(f) {
		f.Add(text, true)
	}
	for _, text := range rewriteOddities {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, self bool) {
		r := Rewrite{To: newUpstreams, Self: self}
		out, edits, err := r.Apply(text)
		if err != nil {
			if _, ok := errors.AsType[*Refusal](err); !ok || out != "" || edits != nil {
				t.Fatalf("Apply = %q, %v, %#v", out, edits, err)
			}
			return
		}
		compareLines(t, text, out, edits)
		if got, want := gaps(out), gaps(text); got != want {
			t.Errorf("comments are %q, were %q", got, want)
		}
		compareForwards(t, r, text, out)
		if _, _, err := r.Apply(out); err == nil {
			t.Errorf("there is more to replace in %q", out)
		}
	})
}

// compareLines checks that only lines with an edit differ.
func compareLines(t *testing.T, text, out string, edits []Edit) {
	t.Helper()
	edited := map[int]bool{}
	for _, e := range edits {
		edited[e.Line] = true
	}
	before, after := strings.Split(text, "\n"), strings.Split(out, "\n")
	if len(before) != len(after) || len(edits) == 0 {
		t.Fatalf("%d lines, were %d; edits %v", len(after), len(before), edits)
	}
	for i := range before {
		if before[i] != after[i] != edited[i+1] {
			t.Errorf("line %d: %q, was %q; edits %v", i+1, after[i], before[i], edits)
		}
	}
}

// gaps returns what is no token, without white space: the comments.
func gaps(text string) string {
	var out strings.Builder
	end := 0
	for _, t := range lex(text) {
		out.WriteString(text[end:t.start])
		end = t.end
	}
	out.WriteString(text[end:])
	return strings.Join(strings.Fields(out.String()), "")
}

// compareForwards checks all arguments: those of other directives are the same,
// those of a forward are what they should be.
func compareForwards(t *testing.T, r Rewrite, text, out string) {
	t.Helper()
	before, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	after, err := Parse(out)
	if err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	for _, b := range before.Blocks {
		for _, d := range b.Directives {
			replaced, kept := r.targets(b, d)
			if len(replaced) == 0 {
				continue
			}
			args := d.Args[:replaced[0]:replaced[0]]
			args = append(args, r.words(kept)...)
			for i, arg := range d.Args {
				if i > replaced[0] && !r.replaces(b, ParseUpstream(arg)) {
					args = append(args, arg)
				}
			}
			d.Args = args
		}
	}
	for i, b := range before.Blocks {
		if got, want := words(after.Blocks[i]), words(b); !reflect.DeepEqual(got, want) {
			t.Errorf("block %d: %q, want %q", i, got, want)
		}
	}
}
