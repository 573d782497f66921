package report

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths, in characters, at which what came from the cluster is cut.
const (
	maxLine  = 400  // in text
	maxQuote = 4000 // in JSON
)

// Clean makes text from the cluster safe for a terminal: one line, without control
// characters (escape sequences among them) and without the characters that turn the
// direction of writing, cut to 400 characters.
func Clean(text string) string { return clean(text, maxLine) }

func clean(text string, limit int) string {
	return cut(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		return visible(r)
	}, head(strings.TrimSpace(text), limit)), limit)
}

// head returns more of a text than cut leaves, so that nobody walks megabytes.
func head(text string, limit int) string {
	return text[:min(len(text), utf8.UTFMax*(limit+1))]
}

// cut shortens text to a number of characters and says so.
func cut(text string, limit int) string {
	n := 0
	for i := range text {
		if n++; n > limit {
			return text[:i] + "…"
		}
	}
	return text
}

// CleanLine is Clean for a line whose blanks matter, such as one of a diff.
func CleanLine(text string) string {
	return cut(strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return visible(r)
	}, head(text, maxQuote)), maxQuote)
}

// visible replaces what could act on a terminal or turn the direction of writing.
func visible(r rune) rune {
	if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
		return utf8.RuneError
	}
	return r
}

// Wrap breaks a line at spaces so that none is longer than width; a word that is longer
// stands alone, so that it can be copied whole.
func Wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
