package redact

import (
	"encoding/json"
	"strings"
)

// JSON takes secrets out of a text that is JSON or was meant to be, and leaves everything else
// as it stands, faults included.
func JSON(text string) string {
	clean := hideJSON(text)
	if json.Valid([]byte(clean)) {
		return Anywhere(clean)
	}
	return Text(clean)
}

// hideJSON takes the values of secret names out.
func hideJSON(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		if text[i] != '"' {
			out.WriteByte(text[i])
			i++
			continue
		}
		end := stringEnd(text, i)
		word := text[i:end]
		colon := skipSpace(text, end)
		if colon == len(text) || text[colon] != ':' {
			out.WriteString(hideInside(word))
			i = end
			continue
		}
		i = skipSpace(text, colon+1)
		out.WriteString(word + text[end:i])
		if name, ok := unquote(word); !ok || IsSecret(name) {
			out.WriteString(`"` + Hidden + `"`)
			i = valueEnd(text, i)
		}
	}
	return out.String()
}

// hideInside looks into a string that is JSON itself, such as one of an annotation.
func hideInside(word string) string {
	inner, ok := unquote(word)
	if !ok || !strings.HasPrefix(strings.TrimSpace(inner), "{") {
		return word
	}
	clean := hideJSON(inner)
	if clean == inner {
		return word
	}
	quoted, err := json.Marshal(clean)
	if err != nil {
		return `"` + Hidden + `"`
	}
	return string(quoted)
}

func unquote(word string) (text string, ok bool) {
	err := json.Unmarshal([]byte(word), &text)
	return text, err == nil
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
