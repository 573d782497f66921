package redact

import (
	"regexp"
	"strings"
)

var (
	// assignment is a name and what joins it to a value: token=x, "token":"x", password: x.
	assignment = regexp.MustCompile(`([A-Za-z_][\w.-]*)(\\*["']?[ \t]*[:=]+>?[ \t]*)`)

	// flagged is a flag and what stands before the word after it; a-token is no flag.
	flagged = regexp.MustCompile(`\B(--?[A-Za-z][\w-]*)((?:[ \t]|\\\n)+)`)
)

// value is what stands behind a name, with its quotes, if it has any.
type value struct{ before, text, after string }

func (v value) len() int { return len(v.before) + len(v.text) + len(v.after) }

// each goes over the names that form finds in a text, and replaces the values that with
// returns by what becomes of their text. In what stays, it looks for names too.
func each(form *regexp.Regexp, text string, with func(name, joint, rest string, query bool) (value, string)) string {
	var out strings.Builder
	last := 0
	for _, at := range form.FindAllStringSubmatchIndex(text, -1) {
		start := at[1]
		if start <= last {
			continue
		}
		query := at[0] > 0 && (text[at[0]-1] == '?' || text[at[0]-1] == '&')
		v, changed := with(text[at[2]:at[3]], text[at[4]:at[5]], text[start:], query)
		if v.len() > 0 {
			out.WriteString(text[last:start] + v.before + changed + v.after)
			last = start + v.len()
		}
	}
	return out.String() + text[last:]
}

// most is how far the end of what is in brackets is looked for.
const most = 4 << 10

// valueOf returns the value that a text begins with: what is quoted or in brackets, or all up
// to white space or a quote, since a secret may hold any other sign. lines tells whether it
// may go over several of them, query that it ends at an "&".
func valueOf(text string, lines, query bool) value {
	slashes := len(text) - len(strings.TrimLeft(text, `\`))
	switch rest := text[slashes:]; {
	case rest == "":
		return value{}
	case rest[0] == '"' || rest[0] == '\'':
		end, behind := quoted(text, slashes, lines)
		return value{text[:slashes+1], text[slashes+1 : end], text[end:behind]}
	case slashes == 0 && (rest[0] == '{' || rest[0] == '['):
		return value{text: text[:bracketed(text, lines)]}
	}
	end := strings.IndexAny(text, " \t\r\n\"'")
	if end < 0 {
		end = len(text)
	}
	text = text[:end]
	if query {
		text, _, _ = strings.Cut(text, "&")
	}
	return value{text: strings.TrimRight(text, `,;:(){}[]\`)}
}

// bracketed returns where the brackets close that a text begins with, else where its line ends.
func bracketed(text string, lines bool) int {
	text = text[:min(len(text), most)]
	line, _, _ := strings.Cut(text, "\n")
	if !lines {
		text = line
	}
	end := valueEnd(text, 0)
	if last := text[end-1]; last == '}' || last == ']' {
		return end
	}
	return len(line)
}

// quoted returns where the text ends whose opening quote has so many backslashes before it, as
// in JSON within JSON, and where its closing quote does.
func quoted(text string, slashes int, lines bool) (end, behind int) {
	run := 0
	for i := slashes + 1; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			run++
			continue
		case text[i] == '\n' && !lines:
			return i, i
		case text[i] != text[slashes]:
		case run < slashes: // it closes what is around
			return i - run, i - run
		case run/(slashes+1)%2 != 0: // it is of the text
		case text[i] == '\'' && run == 0 && i+1 < len(text) && text[i+1] == '\'': // so is that of YAML
			i++
		default:
			return i - slashes, i + 1
		}
		run = 0
	}
	return len(text), len(text)
}
