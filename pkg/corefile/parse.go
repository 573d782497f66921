package corefile

import (
	"fmt"
	"strings"
)

// A SyntaxError says why CoreDNS would not start with a Corefile. It prints as
// CoreDNS logs it, which writes the path of the file where this writes
// Corefile: "Corefile:3 - Error during parsing: Unexpected EOF".
type SyntaxError struct {
	Line    int    // counted from 1; 0 where CoreDNS names none
	Message string // in the words of CoreDNS, without file and line
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("Corefile:%d - %s", e.Line, e.Message)
}

// Parse reads a Corefile. The error is a [*SyntaxError]; the file is then nil.
//
// Only the grammar is judged. That a directive exists, that its arguments make
// sense and that no two blocks serve the same zone, CoreDNS looks at later.
//
// Parse opens no file, reads no environment and takes time and memory in
// proportion to the text, whatever it holds.
func Parse(text string) (*File, error) {
	p := parser{stream: newStream(lex(text)), file: &File{}}
	for p.next() {
		if err := p.parseBlock(); err != nil {
			return nil, err
		}
	}
	return p.file, nil
}

// A parser follows caddyfile's step by step, so that both agree on odd input
// too.
type parser struct {
	stream
	file *File
}

func (p *parser) parseBlock() error {
	block, end, err := p.keys()
	if err != nil {
		return err
	}
	if name, ok := snippetName(block.Keys); ok && !end {
		return p.snippet(name)
	}
	if !end {
		if err := p.body(block); err != nil {
			return err
		}
	}
	if len(block.Keys) > 0 { // CoreDNS drops a block that serves nothing
		block.listener = newListener(block)
		p.file.Blocks = append(p.file.Blocks, block)
	}
	return nil
}

// keys reads what stands before the brace of a block; end tells that nothing
// follows.
func (p *parser) keys() (block *Block, end bool, err error) {
	block = &Block{Line: p.token().line}
	more := false // a comma promises another key
	for {
		if p.is("import") && p.startsLine() {
			if err := p.importFile(); err != nil {
				return nil, false, err
			}
			continue
		}
		t := p.token()
		if t.text == "{" {
			if more {
				return nil, false, p.errorf("Expected another address but had '{' - check for extra comma")
			}
			return block, false, nil
		}
		if t.text != "" {
			var key string
			key, more = strings.CutSuffix(t.text, ",")
			block.addKey(key, t.line)
		}
		if !p.next() {
			if more {
				return nil, false, p.errorf("Unexpected EOF")
			}
			return block, true, nil
		}
		if !more && p.startsLine() {
			return block, false, nil
		}
	}
}

// importFile expands an import between blocks.
func (p *parser) importFile() error {
	statement, err := p.expand()
	if statement != nil {
		p.file.Imports = append(p.file.Imports, newDirective(statement))
	}
	return err
}

// body reads the directives of a block. The braces may be missing around the
// only block of a file.
func (p *parser) body(block *Block) error {
	braces := p.is("{")
	if braces {
		block.open = p.token()
	} else {
		p.cursor--
	}
	for p.next() && !p.is("}") {
		if err := p.directive(block); err != nil {
			return err
		}
	}
	if braces && !p.is("}") {
		return p.expected("}")
	}
	return nil
}

func (p *parser) directive(block *Block) error {
	if p.is("import") {
		statement, err := p.expand()
		p.cursor-- // the loop above moves on to what was imported
		if statement != nil {
			d := newDirective(statement)
			block.Directives = append(block.Directives, d)
			p.file.Imports = append(p.file.Imports, d)
		}
		return err
	}
	tokens, err := p.directiveTokens()
	if err != nil {
		return err
	}
	block.Directives = append(block.Directives, newDirective(tokens))
	return nil
}

// directiveTokens collects what belongs to a directive: the rest of its line,
// and blocks that are opened there or on the next line.
func (p *parser) directiveTokens() ([]token, error) {
	tokens := []token{p.token()}
	nesting := 0
	for p.next() {
		switch {
		case p.is("{"):
			nesting++
		case nesting == 0 && p.startsLine():
			p.cursor-- // belongs to what follows
			return tokens, nil
		case p.is("}"):
			if nesting == 0 {
				return nil, p.errorf("Unexpected '}' because no matching opening brace")
			}
			nesting--
		case p.is("import") && p.startsLine():
			statement, err := p.expand()
			if err != nil {
				return nil, err
			}
			p.cursor--
			if statement != nil {
				tokens = append(tokens, statement...)
				p.file.Imports = append(p.file.Imports, newDirective(statement))
			}
			continue
		}
		tokens = append(tokens, p.token())
	}
	if nesting > 0 {
		return nil, p.errorf("Unexpected EOF")
	}
	return tokens, nil
}

// snippetName tells whether the key of a block, such as (name), makes it a
// snippet.
func snippetName(keys []string) (string, bool) {
	if len(keys) != 1 {
		return "", false
	}
	name, opened := strings.CutPrefix(keys[0], "(")
	name, closed := strings.CutSuffix(name, ")")
	return name, opened && closed
}

// snippet keeps the tokens of a snippet for the imports that follow.
func (p *parser) snippet(name string) error {
	if _, ok := p.snippets[name]; ok {
		return p.errorf("redeclaration of previously declared snippet %s", name)
	}
	if !p.is("{") {
		return p.expected("{")
	}
	var body []token
	nesting := 1
	for nesting > 0 {
		if !p.next() {
			return p.expected("}")
		}
		t := p.token()
		switch t.text {
		case "{":
			nesting++
		case "}":
			nesting--
		}
		t.snippet = name
		body = append(body, t)
	}
	body = body[:len(body)-1] // the closing brace
	if importsItself(name, body) {
		return p.errorf("maximum snippet import depth (%d) exceeded", maxExpansions)
	}
	p.snippets[name] = body
	return nil
}

func importsItself(name string, body []token) bool {
	for i := range len(body) - 1 {
		first := i == 0 || body[i-1].line != body[i].line
		if first && body[i].text == "import" && body[i+1].text == name {
			return true
		}
	}
	return false
}
