package redact

import (
	"regexp"
	"strings"
)

// yamlName is a line of YAML that begins with a name: what stands before that, the name, and
// the value.
var yamlName = regexp.MustCompile(`^([ \t]*(?:-[ \t]+)*)["']?([A-Za-z_][\w./-]*)["']?[ \t]*:(?:[ \t]+(.*))?$`)

// yamlNote is what may stand where a value does and is none.
var yamlNote = regexp.MustCompile(`^([&!]\S*|#.*|[ \t])*$`)

// hideBlocks takes out of YAML the values of secrets' names that stand in the lines below
// them: block scalars (| and >), words that go on there, and lists. A mapping below one has
// names of its own.
func hideBlocks(text string) string {
	var out strings.Builder
	rest := text
	for rest != "" {
		line, next := cutLine(rest)
		m := yamlName.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil || !IsSecret(m[2]) || strings.IndexAny(m[3], `"'{[`) == 0 {
			out.WriteString(line)
			rest = next
			continue
		}
		below := len(next) - len(skipBelow(next, len(m[1]), yamlNote.MatchString(m[3])))
		switch {
		case below == 0 && (m[3] == "" || !strings.Contains(m[1], "-")):
			out.WriteString(line)
		default:
			head := strings.TrimRight(strings.TrimSuffix(strings.TrimRight(line, "\r\n"), m[3]), " \t")
			out.WriteString(head + " " + Hidden + "\n")
		}
		rest = next[below:]
	}
	return out.String()
}

// skipBelow returns what follows the lines below a name at a column, which are all its value.
// Where it has none on its own line, they may be a list in the same column, or a mapping,
// which is no value.
func skipBelow(text string, column int, empty bool) string {
	rest, first := text, true
	for at := text; at != ""; {
		line, next := cutLine(at)
		at = next
		words := strings.TrimSpace(line)
		if words == "" {
			continue
		}
		depth := len(line) - len(strings.TrimLeft(line, " \t"))
		item := empty && depth == column && strings.HasPrefix(words, "- ")
		if depth <= column && !item || empty && first && yamlName.MatchString(words) {
			break
		}
		rest, first = next, false
	}
	return rest
}

func cutLine(text string) (line, rest string) {
	end := strings.IndexByte(text, '\n') + 1
	if end == 0 {
		end = len(text)
	}
	return text[:end], text[end:]
}
