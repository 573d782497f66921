package corefile

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A token is a word of a Corefile, without its quotes and escapes.
type token struct {
	text       string
	line       int    // of its first character, counted from 1
	start, end int    // byte offsets of what is written
	plain      bool   // written exactly as text
	snippet    string // the snippet in which it stands, "" for none
}

// sameLine reports whether b goes on in the line in which a ends; a quoted
// token may span lines.
func sameLine(a, b token) bool {
	return a.line+strings.Count(a.text, "\n") == b.line
}

// newLine reports whether b begins below the end of a. For a token that an
// import put in front of an earlier line, neither sameLine nor newLine holds.
func newLine(a, b token) bool {
	return a.line+strings.Count(a.text, "\n") < b.line
}

const byteOrderMark = "\uFEFF"

// lex splits text into tokens the way CoreDNS does, oddities included.
func lex(text string) []token {
	l := lexer{text: text, line: 1}
	if strings.HasPrefix(text, byteOrderMark) {
		l.pos = len(byteOrderMark)
	}
	var tokens []token
	for {
		l.skip()
		if l.pos == len(text) {
			return tokens
		}
		if t, ok := l.token(); ok {
			t.plain = text[t.start:t.end] == t.text
			tokens = append(tokens, t)
		}
	}
}

type lexer struct {
	text string
	pos  int
	line int
}

// peek returns the next character and its length in bytes, 0 at the end.
func (l *lexer) peek() (rune, int) {
	return utf8.DecodeRuneInString(l.text[l.pos:])
}

// skip moves to the next token: over white space, and over comments to the end
// of their line.
func (l *lexer) skip() {
	comment := false
	for {
		r, size := l.peek()
		switch {
		case size == 0:
			return
		case r == '\n':
			l.line++
			comment = false
		case r == '#':
			comment = true
		case !comment && !unicode.IsSpace(r):
			return
		}
		l.pos += size
	}
}

func (l *lexer) token() (token, bool) {
	if l.text[l.pos] == '"' {
		return l.quoted()
	}
	return l.word(), true
}

// word reads up to white space. A carriage return is no white space here but
// nothing at all, and a comment that touches a word ends with the next blank
// rather than with the line: "a#b c" is a and c.
func (l *lexer) word() token {
	t := token{line: l.line, start: l.pos}
	var text strings.Builder
	comment := false
	for {
		r, size := l.peek()
		if size == 0 || r != '\r' && unicode.IsSpace(r) {
			t.text = text.String()
			return t
		}
		l.pos += size
		comment = comment || r == '#'
		if comment || r == '\r' {
			continue
		}
		text.WriteRune(r)
		t.end = l.pos
	}
}

// quoted reads up to the closing quote. Only a quote can be escaped. Where the
// closing quote is missing, the rest of the text is the token, unless that is
// empty.
func (l *lexer) quoted() (token, bool) {
	t := token{line: l.line, start: l.pos}
	l.pos++
	var text strings.Builder
	escaped := false
	for {
		r, size := l.peek()
		l.pos += size
		t.text, t.end = text.String(), l.pos
		switch {
		case size == 0:
			return t, t.text != ""
		case !escaped && r == '"':
			return t, true
		case !escaped && r == '\\':
			escaped = true
			continue
		case escaped && r != '"':
			text.WriteByte('\\')
		}
		if r == '\n' {
			l.line++
		}
		text.WriteRune(r)
		escaped = false
	}
}
