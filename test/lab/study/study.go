// Package study runs what docs/STUDY.md tells its readers to type, and compares what is
// printed with what they are shown, so that no command in it can rot.
package study

import (
	"bufio"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Step is one thing that a reader does, or that the test does for him.
type Step struct {
	Line    int    // of the document
	Break   string // a fault to make, or ""
	Mend    string // a fault to undo, or ""
	Node    string // where the command is typed: a node, or "" for a place with kubectl
	Command string
	Want    []string // what is shown of its output, line by line
}

// Parse reads the steps of a document: comments "<!-- break FAULT -->" and
// "<!-- mend FAULT -->", and in blocks marked console each line after a prompt, which is
// "$ " or "NODE# ".
func Parse(text string) ([]Step, error) {
	var steps []Step
	inBlock := false
	scanner := bufio.NewScanner(strings.NewReader(text))
	for n := 1; scanner.Scan(); n++ {
		line := scanner.Text()
		switch {
		case line == "```console" && !inBlock:
			inBlock = true
		case line == "```" && inBlock:
			inBlock = false
		case inBlock:
			if node, command, ok := prompt(line); ok {
				steps = append(steps, Step{Line: n, Node: node, Command: command})
				break
			}
			if len(steps) == 0 || steps[len(steps)-1].Command == "" {
				return nil, fmt.Errorf("line %d: output without a command", n)
			}
			last := &steps[len(steps)-1]
			last.Want = append(last.Want, line)
		case strings.HasPrefix(line, "<!-- "):
			step, err := directive(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			step.Line = n
			steps = append(steps, step)
		}
	}
	if inBlock {
		return nil, errors.New("a block is not closed")
	}
	return steps, scanner.Err()
}

var (
	prompted  = regexp.MustCompile(`^(?:\$|([a-z0-9-]+)#) (\S.*)$`)
	commented = regexp.MustCompile(`^<!-- (break|mend) ([a-z0-9-]+) -->$`)
)

func prompt(line string) (node, command string, ok bool) {
	m := prompted.FindStringSubmatch(line)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

func directive(line string) (Step, error) {
	m := commented.FindStringSubmatch(line)
	switch {
	case m == nil:
		return Step{}, fmt.Errorf("%s: neither break nor mend of a fault", line)
	case m[1] == "break":
		return Step{Break: m[2]}, nil
	}
	return Step{Mend: m[2]}, nil
}

// Reads tells whether a command only looks, so that it may be repeated until the
// cluster has come to what is shown.
func (s Step) Reads() bool {
	verb := regexp.MustCompile(`^kubectl (?:-n \S+ )?(get|logs|describe|rollout status)\b[^|]*$`)
	return s.Node != "" || verb.MatchString(s.Command)
}

// lateAttach is what kubectl run says where the container ended before it could be
// attached to; its output is printed all the same, from the log.
var lateAttach = regexp.MustCompile(`(?m)^warning: couldn't attach to pod/.*\n?`)

// Matches tells whether an output is what is shown of it. A line "…" stands for any
// lines or none, "…" within a line for anything, and how wide a gap is does not count.
// Nothing shown means that nothing is printed.
func (s Step) Matches(output string) bool {
	var form strings.Builder
	form.WriteString("^")
	for _, line := range s.Want {
		if strings.TrimSpace(line) == "…" {
			form.WriteString(`(?:.*\n)*?`)
			continue
		}
		var words []string
		for _, word := range strings.Fields(line) {
			words = append(words, strings.ReplaceAll(regexp.QuoteMeta(word), "…", ".*"))
		}
		// A word that may be anything may also be missing, and the gap with it.
		form.WriteString(`[ \t]*` + strings.ReplaceAll(strings.Join(words, `[ \t]+`), `[ \t]+.*`, `(?:[ \t]+.*)?`) + `[ \t]*\n`)
	}
	form.WriteString("$")
	output = lateAttach.ReplaceAllString(output, "")
	if text := strings.TrimRight(output, "\n"); text != "" {
		output = text + "\n"
	} else {
		output = ""
	}
	return regexp.MustCompile(form.String()).MatchString(output)
}
