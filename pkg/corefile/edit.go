package corefile

import (
	"errors"
	"slices"
	"strings"
)

// An Editor takes directives out of a Corefile, adds some, and changes their words. All
// other bytes stay as they are, comments and blanks among them. What stands in a
// snippet, or shares its line with something else, is refused.
type Editor struct {
	// File is the Corefile as it was read; it does not change with the edits.
	File *File

	text string
	cuts []editCut
}

type editCut struct {
	start, end int
	after      string
	lines      bool // whole lines, so that what comes in their place begins one
}

// NewEditor reads a Corefile. The error is a [*SyntaxError].
func NewEditor(text string) (*Editor, error) {
	f, err := Parse(text)
	if err != nil {
		return nil, err
	}
	return &Editor{File: f, text: text}, nil
}

// Remove takes a directive or an option out: its lines with the comments behind it and
// within its braces.
func (e *Editor) Remove(d *Directive) error {
	if err := e.ownLines(d); err != nil {
		return err
	}
	e.cut(e.lineStart(d.start), e.nextLine(d.end), "", true)
	return nil
}

// SetArg puts a word in the place of an argument of a directive, counted from 0.
func (e *Editor) SetArg(d *Directive, i int, word string) error { return e.setWord(d, d.args[i], word) }

// SetName puts another name in the place of a directive's or an option's.
func (e *Editor) SetName(d *Directive, name string) error { return e.setWord(d, d.name, name) }

func (e *Editor) setWord(d *Directive, t token, word string) error {
	if d.Snippet != "" {
		return inSnippet(d)
	}
	if !t.plain {
		return refuse(ReasonQuoted, t.line, "%s is written with quotes", t.text)
	}
	if !Word(word) {
		return refuse(ReasonQuoted, t.line, "%q is no single word", word)
	}
	e.cut(t.start, t.end, word, false)
	return nil
}

// AddArg writes a word behind the name of a directive, before its arguments.
func (e *Editor) AddArg(d *Directive, word string) error {
	if d.Snippet != "" {
		return inSnippet(d)
	}
	if !d.name.plain || !Word(word) {
		return refuse(ReasonQuoted, d.Line, "%s or %q is no plain word", d.Name, word)
	}
	e.cut(d.name.end, d.name.end, " "+word, false)
	return nil
}

// DropArgs takes the arguments of a directive out of its line.
func (e *Editor) DropArgs(d *Directive) error {
	if d.Snippet != "" {
		return inSnippet(d)
	}
	for _, t := range append([]token{d.name}, d.args...) {
		if !t.plain {
			return refuse(ReasonQuoted, t.line, "%s is written with quotes", t.text)
		}
	}
	if len(d.args) > 0 {
		e.cut(d.name.end, d.args[len(d.args)-1].end, "", false)
	}
	return nil
}

// Comment returns the comment behind a directive, from its # to the end of the line.
func (e *Editor) Comment(d *Directive) string {
	if rest := strings.TrimSpace(e.text[d.end:e.nextLine(d.end)]); strings.HasPrefix(rest, "#") {
		return rest
	}
	return ""
}

// AddAfter writes lines below a directive, each indented like it. A tab at the beginning
// of a line stands for one step more.
func (e *Editor) AddAfter(d *Directive, lines ...string) error {
	if err := e.ownLines(d); err != nil {
		return err
	}
	start := e.lineStart(d.start)
	e.addLines(e.nextLine(d.end), e.text[start:d.start], lines)
	return nil
}

// AddOption writes an option behind the others of a directive, in braces of its own where it
// has none.
func (e *Editor) AddOption(d *Directive, line string) error {
	if n := len(d.Options); n > 0 && d.Snippet == "" {
		return e.AddAfter(d.Options[n-1], line)
	}
	if err := e.ownLines(d); err != nil {
		return err
	}
	indent := e.text[e.lineStart(d.start):d.start]
	last := append([]token{d.name}, d.args...)[len(d.args)]
	brace := strings.IndexByte(e.text[last.end:d.end], '{')
	if brace < 0 {
		e.cut(last.end, last.end, " {", false)
		e.addLines(e.nextLine(d.end), indent, []string{"\t" + line, "}"})
		return nil
	}
	if !e.blankBehind(last.end + brace + 1) {
		return refuse(ReasonShared, d.Line, "%s shares its line with something else", d.Name)
	}
	e.addLines(e.nextLine(last.end+brace), indent+e.step(), []string{line})
	return nil
}

// AddFirst writes lines at the beginning of a block.
func (e *Editor) AddFirst(b *Block, lines ...string) error {
	if b.open.end == 0 || !e.blankBehind(b.open.end) {
		return refuse(ReasonShared, b.Line, "the block has no brace at the end of a line")
	}
	indent := e.text[e.lineStart(b.open.start):b.open.start]
	indent = indent[:len(indent)-len(strings.TrimLeft(indent, " \t"))]
	e.addLines(e.nextLine(b.open.end), indent+e.step(), lines)
	return nil
}

// AddLast writes lines at the end of the text, for another block.
func (e *Editor) AddLast(lines ...string) { e.addLines(len(e.text), "", lines) }

// Apply returns the edited text. That nothing else has changed is proven word by word.
func (e *Editor) Apply() (string, error) {
	slices.SortStableFunc(e.cuts, func(a, b editCut) int { return a.start - b.start })
	var out strings.Builder
	end := 0
	for _, c := range e.cuts {
		if c.start < end {
			return "", errors.New("two edits of the Corefile concern the same line")
		}
		out.WriteString(e.text[end:c.start] + c.after)
		end = c.end
	}
	out.WriteString(e.text[end:])
	edited := out.String()
	if _, err := Parse(edited); err != nil {
		return "", err
	}
	if !slices.Equal(e.expected(), wordsOf(lex(edited), true)) {
		return "", errors.New("the edit would change more of the Corefile than it should")
	}
	return edited, nil
}

// Word reports whether CoreDNS reads a text as one word, and as that text.
func Word(text string) bool {
	tokens := lex(text)
	return len(tokens) == 1 && tokens[0].plain && tokens[0].start == 0 && tokens[0].end == len(text) && !strings.ContainsAny(text, "{}")
}

// placed is a word of a Corefile, and whether it begins a line.
type placed struct {
	text  string
	first bool
}

func wordsOf(tokens []token, first bool) []placed {
	var out []placed
	for i, t := range tokens {
		out = append(out, placed{t.text, i == 0 && first || i > 0 && newLine(tokens[i-1], t)})
	}
	return out
}

// expected returns the words that the edited text must have.
func (e *Editor) expected() []placed {
	tokens := lex(e.text)
	words := wordsOf(tokens, true)
	var out []placed
	i := 0
	for _, c := range e.cuts {
		for ; i < len(tokens) && tokens[i].start < c.start; i++ {
			out = append(out, words[i])
		}
		first := c.lines || c.end > c.start && i < len(tokens) && words[i].first
		out = append(out, wordsOf(lex(c.after), first)...)
		for ; i < len(tokens) && tokens[i].start < c.end; i++ { // cut out
		}
	}
	return append(out, words[i:]...)
}

func (e *Editor) cut(start, end int, after string, lines bool) {
	e.cuts = append(e.cuts, editCut{start, end, after, lines})
}

func (e *Editor) addLines(at int, indent string, lines []string) {
	eol := "\n"
	if i := strings.IndexByte(e.text, '\n'); i > 0 && e.text[i-1] == '\r' {
		eol = "\r\n"
	}
	var out strings.Builder
	if at > 0 && e.text[at-1] != '\n' {
		out.WriteString(eol)
	}
	for _, line := range lines {
		inner := strings.TrimLeft(line, "\t")
		out.WriteString(indent + strings.Repeat(e.step(), len(line)-len(inner)) + inner + eol)
	}
	e.cut(at, at, out.String(), true)
}

// step returns by how much the text indents options further than their directive.
func (e *Editor) step() string {
	for _, b := range e.File.Blocks {
		for _, d := range b.Directives {
			outer := e.text[e.lineStart(d.start):d.start]
			for _, o := range d.Options {
				inner, found := strings.CutPrefix(e.text[e.lineStart(o.start):o.start], outer)
				if found && inner != "" && strings.Trim(inner, " \t") == "" {
					return inner
				}
			}
		}
	}
	return "    "
}

// ownLines refuses a directive that does not have its lines for itself.
func (e *Editor) ownLines(d *Directive) error {
	switch {
	case d.Snippet != "":
		return inSnippet(d)
	case len(d.Trailing) > 0, strings.TrimSpace(e.text[e.lineStart(d.start):d.start]) != "", !e.blankBehind(d.end):
		return refuse(ReasonShared, d.Line, "%s shares its line with something else", d.Name)
	}
	return nil
}

func inSnippet(d *Directive) error {
	return refuse(ReasonSnippet, d.Line, "%s stands in the snippet (%s)", d.Name, d.Snippet)
}

func (e *Editor) lineStart(at int) int { return strings.LastIndexByte(e.text[:at], '\n') + 1 }

func (e *Editor) nextLine(at int) int {
	if i := strings.IndexByte(e.text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(e.text)
}

func (e *Editor) blankBehind(at int) bool {
	rest := strings.TrimSpace(e.text[at:e.nextLine(at)])
	return rest == "" || strings.HasPrefix(rest, "#")
}
