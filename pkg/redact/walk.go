package redact

import (
	"encoding/json"
	"strings"
)

// walker goes over the strings of a text that is JSON or was meant to be, each as it reads
// without its escapes. All else stays as it stands: numbers digit by digit, and faults.
type walker struct {
	// hides tells whether the value of a name is cut out, whatever it is.
	hides func(name string) bool
	// edit is what becomes of a string.
	edit func(text string, at place) string
}

// place is where a string stands: the name that it is the value of, itself or in lists, and
// the name of the object that has it. A name itself is the value of none.
type place struct{ name, within string }

func (w walker) walk(text string) string {
	var out strings.Builder
	var at place
	var around []place
	for i := 0; i < len(text); {
		next := strings.IndexAny(text[i:], `"{}[]`)
		if next < 0 {
			out.WriteString(text[i:])
			break
		}
		out.WriteString(text[i : i+next])
		i += next
		switch c := text[i]; c {
		case '{', '[':
			around = append(around, at)
			if c == '{' {
				at = place{within: at.name}
			}
		case '}', ']':
			if n := len(around); n > 0 {
				at, around = around[n-1], around[:n-1]
			}
		default:
			i = w.word(&out, text, i, &at)
			continue
		}
		out.WriteByte(text[i])
		i++
	}
	return out.String()
}

// word writes the string that begins at i, with its value where that is cut out, and
// returns where it went on to.
func (w walker) word(out *strings.Builder, text string, i int, at *place) int {
	end := stringEnd(text, i)
	word := text[i:end]
	inner, valid := unquote(word)
	colon := skipSpace(text, end)
	isName := colon < len(text) && text[colon] == ':'
	where := *at
	if isName {
		where.name = ""
	}
	changed := inner
	if valid {
		changed = w.edit(inner, where)
	}
	if changed == inner {
		out.WriteString(word)
	} else {
		out.WriteString(quote(changed))
	}
	if !isName {
		return end
	}
	at.name = inner
	i = skipSpace(text, colon+1)
	out.WriteString(text[end:i])
	if !valid || w.hides(inner) {
		out.WriteString(`"` + Hidden + `"`)
		return valueEnd(text, i)
	}
	return i
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		return `"` + Hidden + `"`
	}
	return string(quoted)
}

// unquote returns what a string says. Most have no escapes: these are not copied.
func unquote(word string) (text string, valid bool) {
	if plain(word) {
		return word[1 : len(word)-1], true
	}
	var escaped string
	err := json.Unmarshal([]byte(word), &escaped)
	return escaped, err == nil
}

func plain(word string) bool {
	for i := 1; i < len(word)-1; i++ {
		if c := word[i]; c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return len(word) > 1 && word[len(word)-1] == '"'
}

// stringEnd returns where the string that begins at i is over: behind its quote, or at
// the end of the text.
func stringEnd(text string, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

func skipSpace(text string, i int) int {
	for i < len(text) && strings.IndexByte(" \t\r\n", text[i]) >= 0 {
		i++
	}
	return i
}

// valueEnd returns where the value that begins at i is over.
func valueEnd(text string, i int) int {
	for depth := 0; i < len(text); {
		switch text[i] {
		case '"':
			i = stringEnd(text, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
		case ',', '\n':
			if depth == 0 {
				return i
			}
			i++
			continue
		default:
			i++
			continue
		}
		if depth == 0 {
			return i
		}
	}
	return len(text)
}
