package corefile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEditor(t *testing.T) {
	const text = "# ours\n.:53 {\n  errors # all\n  cache 30 { # short\n\tprefetch 1 # often\n\tdenial 5\n  }\n  kubernetes \"a\" b\n  health { lameduck 5s\n  }\n}\n"
	for _, tt := range []struct {
		name, text, want string // want is the text or, with "error: ", the refusal
		edit             func(*Editor) error
	}{
		{"option out", text, strings.Replace(text, "\tprefetch 1 # often\n", "", 1), func(e *Editor) error { return e.Remove(e.File.Blocks[0].Directives[1].Options[0]) }},
		{"directive out", text, strings.Replace(text, "  cache 30 { # short\n\tprefetch 1 # often\n\tdenial 5\n  }\n", "", 1),
			func(e *Editor) error { return e.Remove(e.File.Blocks[0].Directives[1]) }},
		{"argument", text, strings.Replace(text, "cache 30", "cache 60", 1), func(e *Editor) error { return e.SetArg(e.File.Blocks[0].Directives[1], 0, "60") }},
		{"name", text, strings.Replace(text, "denial 5", "success 5", 1), func(e *Editor) error { return e.SetName(e.File.Blocks[0].Directives[1].Options[1], "success") }},
		{"one more argument", text, strings.Replace(text, "kubernetes \"a\"", "kubernetes c \"a\"", 1), func(e *Editor) error { return e.AddArg(e.File.Blocks[0].Directives[2], "c") }},
		{"no arguments", text, strings.Replace(text, "denial 5", "denial", 1), func(e *Editor) error { return e.DropArgs(e.File.Blocks[0].Directives[1].Options[1]) }},
		{"a comment goes along", text, strings.Replace(text, "  errors # all\n", "  errors # all\n  log # all\n", 1), func(e *Editor) error {
			d := e.File.Blocks[0].Directives[0]
			return e.AddAfter(d, "log "+e.Comment(d))
		}},
		{"below", text, strings.Replace(text, "  }\n  kub", "  }\n  transfer {\n      to *\n  }\n  kub", 1),
			func(e *Editor) error { return e.AddAfter(e.File.Blocks[0].Directives[1], "transfer {", "\tto *", "}") }},
		{"one more option", text, strings.Replace(text, "\tdenial 5\n", "\tdenial 5\n\tservfail 0\n", 1), func(e *Editor) error { return e.AddOption(e.File.Blocks[0].Directives[1], "servfail 0") }},
		{"first option", text, strings.Replace(text, "  errors # all\n", "  errors { # all\n      stacktrace\n  }\n", 1), func(e *Editor) error { return e.AddOption(e.File.Blocks[0].Directives[0], "stacktrace") }},
		{"first option in braces", ".:53 {\r\n\thosts /f { # few\r\n# none\r\n\t}\r\n}\r\n", ".:53 {\r\n\thosts /f { # few\r\n\t    fallthrough\r\n# none\r\n\t}\r\n}\r\n",
			func(e *Editor) error { return e.AddOption(e.File.Blocks[0].Directives[0], "fallthrough") }},
		{"first option in the last line", ".\nhosts", ".\nhosts {\n    fallthrough\n}\n", func(e *Editor) error { return e.AddOption(e.File.Blocks[0].Directives[0], "fallthrough") }},
		{"first option behind quotes", ". {\nhosts \"a b\" # c\n}\n", ". {\nhosts \"a b\" { # c\n    ttl 5\n}\n}\n", func(e *Editor) error { return e.AddOption(e.File.Blocks[0].Directives[0], "ttl 5") }},
		{"option in a shared line", text, "error: line 9: lameduck shares its line with something else", func(e *Editor) error { return e.AddOption(e.File.Blocks[0].Directives[3], "x") }},
		{"option between braces", ". {\nhosts { }\n}\n", "error: line 2: hosts shares its line with something else", func(e *Editor) error { return e.AddOption(e.File.Blocks[0].Directives[0], "x") }},
		{"option in a snippet", "(s) {\nhosts {\nttl 5\n}\n}\n. {\nimport s\n}\n", "error: line 2: hosts stands in the snippet (s)", func(e *Editor) error { return e.AddOption(e.File.Blocks[0].Directives[0], "x") }},
		{"first", ".:53 {\r\n  errors\r\n}\r\n", ".:53 {\r\n    ready\r\n  errors\r\n}\r\n", func(e *Editor) error { return e.AddFirst(e.File.Blocks[0], "ready") }},
		{"last line without an end", ".\nerrors", ".\nerrors\nready\n", func(e *Editor) error { return e.AddAfter(e.File.Blocks[0].Directives[0], "ready") }},
		{"another block", ".\nerrors", ".\nerrors\nb {\n    log\n}\n", func(e *Editor) error { e.AddLast("b {", "\tlog", "}"); return nil }},
		{"quoted", text, "error: line 8: a is written with quotes", func(e *Editor) error { return e.SetArg(e.File.Blocks[0].Directives[2], 0, "c") }},
		{"no word", text, `error: line 4: "60 {" is no single word`, func(e *Editor) error { return e.SetArg(e.File.Blocks[0].Directives[1], 0, "60 {") }},
		{"comment as a word", text, `error: line 4: "6#0" is no single word`, func(e *Editor) error { return e.SetArg(e.File.Blocks[0].Directives[1], 0, "6#0") }},
		{"shared line", text, "error: line 9: lameduck shares its line with something else", func(e *Editor) error { return e.Remove(e.File.Blocks[0].Directives[3].Options[0]) }},
		{"snippet", "(s) {\nerrors\n}\n. {\nimport s\n}\n", "error: line 2: errors stands in the snippet (s)", func(e *Editor) error { return e.Remove(e.File.Blocks[0].Directives[0]) }},
		{"within what is taken out", text, "error: two edits of the Corefile concern the same line", func(e *Editor) error {
			d := e.File.Blocks[0].Directives[1]
			_ = e.Remove(d.Options[0])
			return e.Remove(d)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := NewEditor(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := "", tt.edit(e)
			if err == nil {
				got, err = e.Apply()
			}
			if err != nil {
				got = "error: " + err.Error()
			}
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestCorrectBrace takes every single brace out of real Corefiles, and puts one more in
// behind each: the text comes back, or is refused, and never becomes another.
func TestCorrectBrace(t *testing.T) {
	names, err := filepath.Glob("testdata/*.corefile")
	if err != nil || len(names) == 0 {
		t.Fatal("no Corefiles", err)
	}
	back, refused := 0, 0
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		want := parse(t, text).meaning()
		for _, k := range lex(text) {
			if k.text != "{" && k.text != "}" {
				continue
			}
			for _, broken := range []string{text[:k.start] + text[k.end:], text[:k.end] + "\n" + k.text + text[k.end:]} {
				got, err := CorrectBrace(broken)
				if err != nil {
					refused++
					continue
				}
				back++
				if means := parse(t, got).meaning(); means != want {
					t.Errorf("%s: a brace of line %d: got\n%s", name, k.line, got)
				}
			}
		}
	}
	if back < 3*refused {
		t.Errorf("%d texts were put right, %d refused: too few", back, refused)
	}
	t.Logf("%d put right, %d refused", back, refused)
}

func TestCorrectBraceRefuses(t *testing.T) {
	for _, text := range []string{
		"", ". {\nerrors\n", "x {\nvendor\n", // the first and the last could be more than a brace
		". {\nerrors {\nlog\n}\n", ". {\nlog {\nrewrite a b\nacl {\n}\n",
	} {
		if got, err := CorrectBrace(text); err == nil && !strings.HasPrefix(text, ". {\nerrors\n") {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// TestEditorRemovesOne takes every directive and every option out of every sample: what
// is left says the same without it.
func TestEditorRemovesOne(t *testing.T) {
	removed := 0
	for name, text := range samples(t) {
		for i, b := range parse(t, text).Blocks {
			for j, d := range b.Directives {
				for k := -1; k < len(d.Options); k++ {
					e, err := NewEditor(text)
					if err != nil {
						t.Fatal(err)
					}
					in := e.File.Blocks[i]
					victim := in.Directives[j]
					if k >= 0 {
						victim = victim.Options[k]
					}
					if e.Remove(victim) != nil {
						continue
					}
					got, err := e.Apply()
					if err != nil {
						t.Errorf("%s, line %d: %v", name, victim.Line, err)
						continue
					}
					if k >= 0 {
						in.Directives[j].Options = slices.Delete(slices.Clone(in.Directives[j].Options), k, k+1)
					} else {
						in.Directives = slices.Delete(slices.Clone(in.Directives), j, j+1)
					}
					if removed++; parse(t, got).meaning() != e.File.meaning() {
						t.Errorf("%s, without line %d:\n%s", name, victim.Line, got)
					}
				}
			}
		}
	}
	if removed < 50 {
		t.Errorf("%d directives were taken out: too few", removed)
	}
}
