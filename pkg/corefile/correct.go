package corefile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrAmbiguous is the error of [CorrectBrace] where several corrections make sense, or none.
var ErrAmbiguous = errors.New("no single brace can be put right without a guess")

// maxCorrected bounds the lines of a text in which a brace is looked for: each is tried.
const maxCorrected = 500

// CorrectBrace puts right a Corefile in which one brace is missing or one is too many, if
// there is only one way that leaves a Corefile whose blocks and directives make sense.
// All other bytes stay.
func CorrectBrace(text string) (string, error) {
	if strings.Count(text, "\n") > maxCorrected {
		return "", ErrAmbiguous
	}
	var found, meaning string
	for _, try := range braces(text) {
		f, err := Parse(try)
		if err != nil || !Plausible(f) || slices.ContainsFunc(f.Blocks, func(b *Block) bool { return b.open.end == 0 }) {
			continue
		}
		means := f.meaning()
		if found != "" && means != meaning {
			return "", ErrAmbiguous
		}
		if found == "" {
			found, meaning = try, means
		}
	}
	if found == "" {
		return "", ErrAmbiguous
	}
	return found, nil
}

// braces returns the texts in which one brace is taken out or one is put in, so that
// there are as many of both.
func braces(text string) []string {
	tokens := lex(text)
	open := 0
	for _, t := range tokens {
		switch t.text {
		case "{":
			open++
		case "}":
			open--
		}
	}
	switch open {
	case 1:
		return append(without(text, tokens, "{"), closed(text, tokens)...)
	case -1:
		return append(without(text, tokens, "}"), opened(text, tokens)...)
	}
	return nil
}

// without returns the texts without one of the braces that stands where braces do: alone
// in its line, which goes too, or at the end of one if it opens a block.
func without(text string, tokens []token, brace string) []string {
	e := &Editor{text: text}
	var out []string
	for i, t := range tokens {
		if t.text != brace {
			continue
		}
		start, end := t.start, t.end
		switch {
		case strings.TrimSpace(text[e.lineStart(start):start]) == "" && strings.TrimSpace(text[end:e.nextLine(end)]) == "":
			start, end = e.lineStart(start), e.nextLine(end)
		case brace == "{" && i > 0 && e.blankBehind(end):
			start = tokens[i-1].end
		default: // it may be the words before it that are too many
			continue
		}
		out = append(out, text[:start]+text[end:])
	}
	return out
}

// closed returns the texts with a closing brace below one of the lines, indented like
// what it closes.
func closed(text string, tokens []token) []string {
	e := &Editor{text: text, File: &File{}}
	var out, indents []string
	for i, t := range tokens {
		switch t.text {
		case "{":
			line := text[e.lineStart(t.start):]
			indents = append(indents, line[:len(line)-len(strings.TrimLeft(line, " \t"))])
		case "}":
			indents = indents[:max(len(indents)-1, 0)]
		}
		if len(indents) == 0 || i+1 < len(tokens) && !newLine(t, tokens[i+1]) {
			continue
		}
		e.cuts = nil
		e.addLines(e.nextLine(t.end), indents[len(indents)-1], []string{"}"})
		c := e.cuts[0]
		out = append(out, text[:c.start]+c.after+text[c.end:])
	}
	return out
}

// opened returns the texts with an opening brace at the end of one of the lines.
func opened(text string, tokens []token) []string {
	var out []string
	for i, t := range tokens {
		if t.text != "{" && t.text != "}" && i+1 < len(tokens) && newLine(t, tokens[i+1]) {
			out = append(out, text[:t.end]+" {"+text[t.end:])
		}
	}
	return out
}

// Plausible reports whether a Corefile is what somebody may have meant: every block
// serves something and does something, all directives are known, and no plugin stands
// where only an option can. CoreDNS may refuse one that is, for other reasons.
func Plausible(f *File) bool {
	return len(f.Blocks) > 0 && !slices.ContainsFunc(f.Blocks, func(b *Block) bool { return !plausible(b) })
}

func plausible(b *Block) bool {
	for _, key := range b.Keys {
		if _, err := ParseAddress(key); err != nil || KnownDirective(key) || strings.ContainsAny(key, "{}") && !Placeholder(key) {
			return false
		}
	}
	return len(b.Directives) > 0 && !slices.ContainsFunc(b.Directives, func(d *Directive) bool {
		return len(d.Trailing) > 0 || !KnownDirective(d.Name) && len(d.Removed()) == 0 || slices.ContainsFunc(d.Options, func(o *Directive) bool { return !mayHave(d.Name, o) })
	})
}

// mayHave reports whether a directive may have an option. Of the plugins that nearly every
// Corefile has, all options are known; no other plugin has one that is called like them.
func mayHave(directive string, o *Directive) bool {
	if len(o.Options) > 0 {
		return false // no plugin's options have some of their own
	}
	switch directive {
	case "health", "ready", "cache":
		return slices.Contains(Options(directive), o.Name)
	case "prometheus", "loop", "reload", "bind", "whoami":
		return false
	}
	switch o.Name {
	case "", "errors", "health", "ready", "kubernetes", "prometheus", "forward", "proxy", "cache", "loop", "loadbalance":
		return false
	}
	return true
}

// meaning writes down what a Corefile says, without how it is written.
func (f *File) meaning() string {
	var out strings.Builder
	var write func([]*Directive)
	write = func(ds []*Directive) {
		for _, d := range ds {
			fmt.Fprintf(&out, "%q %q (", d.Name, d.Args)
			write(d.Options)
			out.WriteString(")")
		}
	}
	for _, b := range f.Blocks {
		fmt.Fprintf(&out, "%q {", b.Keys)
		write(b.Directives)
		out.WriteString("}")
	}
	return out.String()
}
