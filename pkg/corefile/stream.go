package corefile

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// maxExpansions is the number of snippet imports that CoreDNS allows.
	maxExpansions = 10000
	// maxImported bounds what those may add, in tokens: ten thousand times a
	// long snippet would not fit into memory.
	maxImported = 1 << 18
)

// A stream hands out the tokens of a Corefile with snippets put in place of
// their imports. The token at the cursor is the current one.
type stream struct {
	seen   []token   // handed out, and at most one looked at in advance
	cursor int       // index into seen
	rest   [][]token // what follows, the nearest last

	snippets   map[string][]token
	expansions int
	imported   int
}

func newStream(tokens []token) stream {
	return stream{cursor: -1, rest: [][]token{tokens}, snippets: map[string][]token{}}
}

// reach makes the token at index i available, if there are so many.
func (s *stream) reach(i int) bool {
	for len(s.seen) <= i && len(s.rest) > 0 {
		last := len(s.rest) - 1
		if len(s.rest[last]) == 0 {
			s.rest = s.rest[:last]
			continue
		}
		s.seen = append(s.seen, s.rest[last][0])
		s.rest[last] = s.rest[last][1:]
	}
	return i < len(s.seen)
}

func (s *stream) next() bool {
	if !s.reach(s.cursor + 1) {
		return false
	}
	s.cursor++
	return true
}

// nextArg is next, but stays where it is if the line ends.
func (s *stream) nextArg() bool {
	if !s.reach(s.cursor+1) || !sameLine(s.seen[s.cursor], s.seen[s.cursor+1]) {
		return false
	}
	s.cursor++
	return true
}

// token returns the current token, the zero token outside of the text.
func (s *stream) token() token {
	if s.cursor < 0 || !s.reach(s.cursor) {
		return token{}
	}
	return s.seen[s.cursor]
}

func (s *stream) is(text string) bool { return s.token().text == text }

func (s *stream) startsLine() bool {
	if s.cursor < 1 {
		return true
	}
	return s.reach(s.cursor) && newLine(s.seen[s.cursor-1], s.seen[s.cursor])
}

// expand replaces the import at the cursor by the tokens of the snippet that
// it names. The cursor then stands on the first of them. An import of a file
// is replaced by nothing, and its two tokens are returned.
func (s *stream) expand() ([]token, error) {
	statement := s.token()
	if !s.nextArg() {
		return nil, s.errorf("Wrong argument count or unexpected line ending after '%s'", statement.text)
	}
	name := s.token()
	if name.text == "" {
		return nil, s.errorf("Import requires a non-empty filepath")
	}
	if s.nextArg() {
		return nil, s.errorf("Import takes only one argument (glob pattern or file)")
	}
	body, ok := s.snippets[name.text]
	if ok {
		return nil, s.insert(body)
	}
	if err := s.checkPattern(name.text); err != nil {
		return nil, err
	}
	s.splice(nil)
	return []token{statement, name}, nil
}

// insert puts a snippet in place of its import, unless that is one too many.
func (s *stream) insert(body []token) error {
	s.expansions++
	s.imported += len(body)
	if s.expansions > maxExpansions {
		return s.errorf("maximum snippet import depth (%d) exceeded", maxExpansions)
	}
	if s.imported > maxImported {
		return s.errorf("snippets import more than %d tokens", maxImported)
	}
	s.splice(body)
	return nil
}

// checkPattern refuses what cannot be the name of files: the brace of a block
// that was begun too early, and several wildcards, which CoreDNS does not match
// because it may take too long.
func (s *stream) checkPattern(pattern string) error {
	if pattern == "{" || pattern == "}" {
		return s.errorf("File to import not found: %s", pattern)
	}
	if strings.Count(pattern, "*") > 1 || strings.Count(pattern, "?") > 1 ||
		strings.Contains(pattern, "[") && strings.Contains(pattern, "]") {
		return s.errorf("Glob pattern may only contain one wildcard (*), but has others: %s", pattern)
	}
	return nil
}

// splice puts body in place of the current token and the one before.
func (s *stream) splice(body []token) {
	ahead := slices.Clone(s.seen[s.cursor+1:])
	s.rest = append(s.rest, ahead, body)
	s.cursor--
	s.seen = s.seen[:s.cursor]
}

func (s *stream) errorf(format string, args ...any) error {
	return &SyntaxError{Line: s.token().line, Message: "Error during parsing: " + fmt.Sprintf(format, args...)}
}

func (s *stream) expected(text string) error {
	t := s.token()
	message := fmt.Sprintf("Syntax error: Unexpected token '%s', expecting '%s'", t.text, text)
	return &SyntaxError{Line: t.line, Message: message}
}
