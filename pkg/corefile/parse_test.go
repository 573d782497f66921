package corefile

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy/caddyfile"
)

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// outline writes directives on one line each, options below and to the right.
func outline(ds []*Directive, indent string) string {
	var out strings.Builder
	for _, d := range ds {
		out.WriteString(indent + strings.Join(append([]string{d.Name}, d.Args...), " "))
		if d.Snippet != "" {
			out.WriteString(" (" + d.Snippet + ")")
		}
		if len(d.Trailing) > 0 {
			out.WriteString(" | " + strings.Join(d.Trailing, " "))
		}
		out.WriteString("\n" + outline(d.Options, indent+"  "))
	}
	return out.String()
}

func TestParseDirectives(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"arguments", ". {\n\tforward . 1.1.1.1  8.8.8.8 # c\n\tcache\n}", "forward . 1.1.1.1 8.8.8.8\ncache\n"},
		{"quotes", ". {\nlog . \"a \\\"b\\\" \\d\" \"\"\n}", "log . a \"b\" \\d \n"},
		{"lines within quotes", ". {\nlog \"a\nb\" c\ncache\n}", "log a\nb c\ncache\n"},
		{"options", ". {\ncache 30 {\nsuccess 1 2\ndenial 3\n}\nloop\n}", "cache 30\n  success 1 2\n  denial 3\nloop\n"},
		{"options on one line", ". {\nforward . 9.9.9.9 { policy sequential }\nloop\n}", "forward . 9.9.9.9\n  policy sequential\nloop\n"},
		{"options within options", ". {\na {\nb {\nc d\n}\ne { f } g\n}\n}", "a\n  b\n    c d\n  e\n    f\n  g\n"},
		{"no options", ". {\nhealth {\n}\nready { }\n}", "health\nready\n"},
		{"behind the brace", ". {\ncache {\nprefetch 1\n} loop\nreload\n}", "cache | loop\n  prefetch 1\nreload\n"},
		{"brace on the next line", ". {\ncache\n{\nprefetch 1\n}\nreload\n}", "cache | { prefetch 1 }\nreload\n"},
		{"brace without a name", ". {\na { { b\n} c }\n}", "a\n  \n    b\n  c\n"},
		{"file import", ". {\nerrors\nimport a/*.override\nloop\n}", "errors\nimport a/*.override\nloop\n"},
		{"file import among options", ". {\nforward . 9.9.9.9 {\nimport b\nexpire 1s\n}\n}", "forward . 9.9.9.9\n  import b\n  expire 1s\n"},
		{"snippet", "(s) {\nlog\ncache {\nprefetch 1\n}\n}\n. {\nerrors\nimport s\nloop\n}",
			"errors\nlog (s)\ncache (s)\n  prefetch 1 (s)\nloop\n"},
		{"snippet among options", "(s) {\nexpire 1s\n}\n. {\nforward . 9.9.9.9 {\nmax_fails 0\nimport s\n}\n}",
			"forward . 9.9.9.9\n  max_fails 0\n  expire 1s (s)\n"},
		{"snippet in a snippet", "(s) {\nlog\n}\n(t) {\nimport s\nerrors\n}\n. {\nimport t\n}", "log (s)\nerrors (t)\n"},
		{"snippet with a block", "(s) {\n. {\nlog\n}\n}\nimport s", "log (s)\n"},
		{"unused snippet", "(s) {\nlog\n}\n. {\nerrors\n}", "errors\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, tt.text)
			if len(f.Blocks) != 1 {
				t.Fatalf("%d blocks", len(f.Blocks))
			}
			if got := outline(f.Blocks[0].Directives, ""); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestParseBlocks(t *testing.T) {
	type block struct {
		line int
		keys string
	}
	for _, tt := range []struct {
		name, text string
		want       []block
	}{
		{"one", "\n# c\n.:53 {\n}", []block{{3, ".:53"}}},
		{"brace below", ".\n{\nlog\n}", []block{{1, "."}}},
		{"without braces", ". a\nlog\n", []block{{1, ". a"}}},
		{"key alone", "example.org", []block{{1, "example.org"}}},
		{"commas", "a, b,\n  c d {\n}", []block{{1, "a b c d"}}},
		{"comma without blank", "a,b {\n}", []block{{1, "a,b"}}},
		{"next to each other", "a {\n} b {\n}\nc {\n}", []block{{1, "a"}, {2, "b"}, {4, "c"}}},
		{"no key", "{\nlog\n}\na {\n}", []block{{4, "a"}}},
		{"imports around", "import x\na {\n}\nimport y\n", []block{{2, "a"}}},
		{"nothing", "# only a comment", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []block
			for _, b := range parse(t, tt.text).Blocks {
				got = append(got, block{b.Line, strings.Join(b.Keys, " ")})
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"brace missing", ". {\n\terrors\n\tcache 30 {\n\t\tprefetch 1\n", "Corefile:4 - Error during parsing: Unexpected EOF"},
		{"last brace missing", ". {\n\terrors\n", "Corefile:2 - Syntax error: Unexpected token 'errors', expecting '}'"},
		{"brace in the line", ". {\n\terrors }\n", "Corefile:2 - Error during parsing: Unexpected '}' because no matching opening brace"},
		{"comma", "a, {\n}", "Corefile:1 - Error during parsing: Expected another address but had '{' - check for extra comma"},
		{"import", ". {\nimport\n}", "Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending after 'import'"},
		{"import of a brace", "import {\n}", "Corefile:1 - Error during parsing: File to import not found: {"},
		{"wildcards", "\nimport */*.server", "Corefile:2 - Error during parsing: Glob pattern may only contain one wildcard (*), but has others: */*.server"},
		{"redeclared", "(a) {\n}\n(a) {\n}", "Corefile:3 - Error during parsing: redeclaration of previously declared snippet a"},
		{"cycle", "(a) {\nimport b\n}\n(b) {\nimport a\n}\n. {\nimport a\n}", "Corefile:5 - Error during parsing: maximum snippet import depth (10000) exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse(tt.text)
			syntax, ok := errors.AsType[*SyntaxError](err)
			if f != nil || !ok || syntax.Error() != tt.want {
				t.Errorf("got %v, %v, want %s", f, err, tt.want)
			}
		})
	}
}

func TestParseImports(t *testing.T) {
	const text = "(s) {\nimport a\n}\nimport b\n. {\nimport s\nforward . 9.9.9.9 {\nimport c\n}\nimport d\n}\nimport e\n"
	var got []string
	for _, d := range parse(t, text).Imports {
		got = append(got, strings.Join(append([]string{d.Name}, d.Args...), " "))
	}
	if want := "import b, import a, import c, import d, import e"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
}

// TestOptions compares the tree with what a plugin of CoreDNS is given when it
// reads its arguments and its block.
func TestOptions(t *testing.T) {
	for name, text := range samples(t) {
		lines := strings.SplitAfter(text, "\n")
		for _, b := range parse(t, text).Blocks {
			for _, d := range b.Directives {
				// Snippets are not at hand, and plugins take a brace that closes
				// in the line of an option for its argument.
				snippet := slices.ContainsFunc(d.Options, func(o *Directive) bool { return o.Snippet != "" })
				if snippet || strings.Contains(lines[d.Line-1], "} #") {
					continue
				}
				got, want := plain(d), theirs(strings.Join(lines[d.Line-1:], ""))
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s: got %q, CoreDNS has %q", name, got, want)
				}
			}
		}
	}
}

// plain lists a directive and then its options as words.
func plain(d *Directive) []string {
	all := []string{strings.Join(append([]string{d.Name}, d.Args...), " ")}
	for _, o := range d.Options {
		all = append(all, strings.Join(append([]string{o.Name}, o.Args...), " "))
	}
	return all
}

// theirs is plain for the directive at the start of text.
func theirs(text string) []string {
	plugin := caddyfile.NewDispenser("", strings.NewReader(text))
	plugin.Next()
	all := []string{strings.Join(append([]string{plugin.Val()}, plugin.RemainingArgs()...), " ")}
	for plugin.NextBlock() {
		all = append(all, strings.Join(append([]string{plugin.Val()}, plugin.RemainingArgs()...), " "))
	}
	return all
}

func TestFind(t *testing.T) {
	b := parse(t, ". {\nforward a 9.9.9.9\ncache {\ndisable success\ndisable denial\n}\nforward b 9.9.9.9\n}").Blocks[0]
	if got := b.Find("forward"); len(got) != 2 || got[1].Line != 7 {
		t.Errorf("forward: got %v", got)
	}
	if got := b.Find("cache")[0].Find("disable"); len(got) != 2 || got[1].Args[0] != "denial" {
		t.Errorf("disable: got %v", got)
	}
	if got := b.Find("loop"); got != nil {
		t.Errorf("loop: got %v", got)
	}
}

// TestLarge reads texts of a quarter of the size of the largest ConfigMap that are made
// to take long: what took quadratic time would not end before the test's time limit.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const size = 1 << 18
	fill := func(before, unit, after string) string {
		return before + strings.Repeat(unit, (size-len(before)-len(after))/len(unit)) + after
	}
	for name, text := range map[string]string{
		"one word":          fill("", "a", ""),
		"words":             fill("", "a ", ""),
		"lines":             fill(". {\n", "a\n", "}"),
		"open braces":       fill(". {\n", "a {", ""),
		"bare braces":       fill(". {\na", " {", ""),
		"nesting":           fill(". {\n", "a{\n", "") + strings.Repeat("\n}", size/3),
		"balanced braces":   fill(". {\n", "a { }\n", "}"),
		"quote":             fill(". \"", "\\", ""),
		"comment":           fill(". #", "#", ""),
		"snippets":          fill("", "(a) { \n}\n", ""),
		"imports":           fill("(s) {\n}\n. {\n", "import s\n", "}"),
		"growing imports":   "(s) {" + strings.Repeat(" a", size/4) + "\n}\n. {\n" + strings.Repeat("import s\n", size/20) + "}",
		"growing snippets":  "(a) {\n" + strings.Repeat("b\n", 1000) + "}\n(b) {\nimport a\nimport a\n}\n. {\n" + strings.Repeat("import b\n", 5000) + "}",
		"file imports":      fill(". {\n", "import s\n", "}"),
		"prefixes":          fill("", "1.0.0.0/1 ", "{\n}"),
		"ports":             fill("", ".:530 ", "{\nforward . 127.0.0.1\n}"),
		"targets":           fill(". {\nforward .", " 127.0.0.1", "\n}"),
		"forwards":          fill(strings.Repeat(".:53 ", size/16)+"{\n", "forward . ::1\n", "}"),
		"addresses to bind": fill(". {\nforward"+strings.Repeat(" 127.0.0.1", size/32)+"\nbind", " 127.0.0.2", "\n}"),
		"files":             fill(". {\nforward .", " /etc/resolv.conf", "\n}"),
		"forwards of a file": fill(". {\n", "forward . /etc/resolv.conf\n",
			"}"),
	} {
		t.Run(name, func(t *testing.T) {
			if f, err := Parse(text); err == nil {
				for _, b := range f.Blocks {
					b.Zones()
				}
				f.BlockFor("a.b.c", "53")
			}
			if _, _, err := (Rewrite{To: newUpstreams, Self: true}).Apply(text); err != nil && len(err.Error()) > 2*size {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
}
