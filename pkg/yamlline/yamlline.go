// Package yamlline edits single fields of YAML texts that people write: no comment, no blank
// and no other line is touched.
package yamlline

import (
	"errors"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// ErrByHand says that a text is written in a way in which no single line holds the field.
var ErrByHand = errors.New("the text is written in a way in which no line of its own holds the field; edit it by hand")

// Set gives one field of a YAML mapping a text as its value; a path of two names leads
// to one inside another. Nothing but the line that holds it is touched, or one put in
// where a field of the outermost mapping is not there. That nothing else has changed is
// proved by reading both texts.
func Set(text, value string, path ...string) (string, error) {
	want, err := read(text)
	if err != nil {
		return "", err
	}
	in := want
	for _, name := range path[:len(path)-1] {
		if in, _ = in[name].(map[string]any); in == nil {
			return "", ErrByHand
		}
	}
	in[path[len(path)-1]] = value
	lines := strings.SplitAfter(text, "\n")
	if i := lineOf(lines, path); i >= 0 {
		if lines[i] = withValue(lines[i], value); lines[i] == "" {
			return "", ErrByHand
		}
	} else {
		lines = withLine(lines, path[0]+": "+word(value))
	}
	return proved(strings.Join(lines, ""), want)
}

// Drop takes one field out of a YAML mapping with its line, and what it leaves empty.
func Drop(text string, path ...string) (string, error) {
	want, err := read(text)
	if err != nil {
		return "", err
	}
	if len(path) > 1 {
		inner, _ := want[path[0]].(map[string]any)
		delete(inner, path[1])
		if len(inner) == 0 {
			delete(want, path[0])
		}
	} else {
		delete(want, path[0])
	}
	lines := strings.SplitAfter(text, "\n")
	if i := lineOf(lines, path); i >= 0 {
		lines[i] = ""
	}
	if _, kept := want[path[0]]; len(path) > 1 && !kept {
		if i := lineOf(lines, path[:1]); i >= 0 {
			lines[i] = ""
		}
	}
	return proved(strings.Join(lines, ""), want)
}

// Swap replaces one value of a field, of whatever mapping, where one line alone gives
// it that value.
func Swap(text, field, from, to string, change func(map[string]any)) (string, error) {
	want, err := read(text)
	if err != nil {
		return "", err
	}
	change(want)
	line := regexp.MustCompile(`(?m)^([ \t]*(?:-[ \t]+)?["']?` + regexp.QuoteMeta(field) + `["']?[ \t]*:[ \t]*["']?)` + regexp.QuoteMeta(from) + `(["']?[ \t]*(?:#.*)?\r?)$`)
	found := line.FindAllStringSubmatchIndex(text, -1)
	if len(found) != 1 {
		return "", ErrByHand
	}
	return proved(text[:found[0][3]]+to+text[found[0][4]:], want)
}

func read(text string) (map[string]any, error) {
	var out map[string]any
	err := yaml.Unmarshal([]byte(text), &out)
	if err == nil && out == nil {
		err = errors.New("it is empty")
	}
	return out, err
}

// proved returns a text if it says what it should.
func proved(text string, want map[string]any) (string, error) {
	got, err := read(text)
	if err != nil || !reflect.DeepEqual(got, want) {
		return "", ErrByHand
	}
	return text, nil
}

// lineOf returns the line that holds a field, or -1.
func lineOf(lines, path []string) int {
	i := fieldLine(lines, 0, path[0], func(indent int) bool { return indent == 0 })
	if len(path) == 1 || i < 0 {
		return i
	}
	inner := -1
	return fieldLine(lines, i+1, path[1], func(indent int) bool {
		if inner < 0 {
			inner = indent
		}
		return indent > 0 && indent == inner
	})
}

// fieldLine looks for a field among the lines from one on, as far as the first line that
// is indented less than the mapping.
func fieldLine(lines []string, from int, name string, fits func(indent int) bool) int {
	key := regexp.MustCompile(`^["']?` + regexp.QuoteMeta(name) + `["']?[ \t]*:(?:[ \t\r\n]|$)`)
	for i := from; i < len(lines); i++ {
		bare := strings.TrimLeft(lines[i], " ")
		if strings.TrimSpace(bare) == "" || strings.HasPrefix(bare, "#") {
			continue
		}
		indent := len(lines[i]) - len(bare)
		if fits(indent) && key.MatchString(bare) {
			return i
		}
		if from > 0 && indent == 0 {
			return -1
		}
	}
	return -1
}

var valueForm = regexp.MustCompile(`^([^:]*:)[ \t]*(?:"[^"\r\n]*"|'[^'\r\n]*'|[^"'#\r\n][^#\r\n]*?)?([ \t]+#[^\r\n]*)?[ \t]*(\r?\n?)$`)

// withValue returns a line whose field has another value, or "" where it cannot be parted.
func withValue(line, value string) string {
	m := valueForm.FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return m[1] + " " + word(value) + m[2] + m[3]
}

// withLine puts a line in behind the one that names the kind, or at the end.
func withLine(lines []string, line string) []string {
	i := lineOf(lines, []string{"kind"})
	if i < 0 {
		i = len(lines) - 1
	}
	end := "\n"
	if strings.HasSuffix(lines[i], "\r\n") {
		end = "\r\n"
	}
	if !strings.HasSuffix(lines[i], "\n") && lines[i] != "" {
		lines[i] += end
	}
	lines[i] += line + end
	return lines
}

// word writes a text as a scalar.
func word(value string) string {
	var back any
	if err := yaml.Unmarshal([]byte("v: "+value), &back); err == nil && reflect.DeepEqual(back, map[string]any{"v": value}) {
		return value
	}
	return strconv.Quote(value)
}
