package corefile

// A File is a Corefile as CoreDNS understands it: snippets stand wherever they
// are imported.
type File struct {
	// Blocks are the server blocks, in order.
	Blocks []*Block
	// Imports are the imports of files, in order and from every depth. What
	// those files hold is unknown, so nothing may be concluded from a directive
	// that is missing while there is one.
	Imports []*Directive
}

// A Block is a server block: what CoreDNS does for some zones.
type Block struct {
	// Keys are the zones as written, with scheme and port; see Addresses.
	Keys []string
	// Line is that of the first key.
	Line int
	// Directives are the plugins and their settings in the order of the text,
	// which is not the order in which CoreDNS runs them.
	Directives []*Directive

	listener listener
	open     token // the opening brace, zero where there is none
}

func (b *Block) addKey(key string, line int) {
	if len(b.Keys) == 0 {
		b.Line = line
	}
	b.Keys = append(b.Keys, key)
}

// Find returns the directives of a block that have the name.
func (b *Block) Find(name string) []*Directive {
	return find(b.Directives, name)
}

// A Directive is a line that configures a plugin, or an option of a plugin.
type Directive struct {
	Name string
	Args []string
	// Options is the block in braces that is opened at the end of the line.
	Options []*Directive
	// Trailing is what CoreDNS counts to the directive though it stands neither
	// on its line nor in that block: words behind the closing brace, or a brace
	// opened on the next line. The plugin takes the first of them for another
	// directive of its own and normally fails.
	Trailing []string
	// Line is that of the name, in a snippet where Snippet is set.
	Line int
	// Snippet is the name of the snippet that an import brought here, "" for a
	// directive that stands in the block itself.
	Snippet string

	name       token
	args       []token
	start, end int // byte offsets of all that belongs to it
}

// Find returns the options of a directive that have the name.
func (d *Directive) Find(name string) []*Directive {
	return find(d.Options, name)
}

func find(ds []*Directive, name string) []*Directive {
	var found []*Directive
	for _, d := range ds {
		if d.Name == name {
			found = append(found, d)
		}
	}
	return found
}

// newDirective makes a directive of the tokens that belong to it.
func newDirective(tokens []token) *Directive {
	d := newOption(tokens[0])
	defer func() { d.end = tokens[len(tokens)-1].end }()
	i := 1
	for ; i < len(tokens) && sameLine(tokens[i-1], tokens[i]); i++ {
		if tokens[i].text == "{" {
			i = d.options(tokens, i)
			break
		}
		d.addArg(tokens[i])
	}
	for _, t := range tokens[i:] {
		d.Trailing = append(d.Trailing, t.text)
	}
	return d
}

func newOption(t token) *Directive {
	return &Directive{Name: t.text, Line: t.line, Snippet: t.snippet, name: t, start: t.start, end: t.end}
}

func (d *Directive) addArg(t token) {
	d.Args = append(d.Args, t.text)
	d.args = append(d.args, t)
	d.end = t.end
}

// options reads the block whose opening brace is tokens[i] and returns the
// index behind its closing brace. It does not call itself for a block within:
// nesting may be as deep as the text is long.
func (d *Directive) options(tokens []token, i int) int {
	var outer []*Directive // the directives whose blocks are open
	current := d           // the last name read; nil behind a brace
	for ; i < len(tokens); i++ {
		t := tokens[i]
		switch {
		case t.text == "{":
			if current == nil { // a brace without a name
				current = addOption(outer[len(outer)-1], token{line: t.line, snippet: t.snippet, start: t.start, end: t.end})
			}
			outer, current = append(outer, current), nil
		case t.text == "}":
			outer[len(outer)-1].end = t.end
			outer, current = outer[:len(outer)-1], nil
			if len(outer) == 0 {
				return i + 1
			}
		case current == nil || !sameLine(tokens[i-1], t):
			current = addOption(outer[len(outer)-1], t)
		default:
			current.addArg(t)
		}
	}
	return i
}

func addOption(to *Directive, t token) *Directive {
	option := newOption(t)
	to.Options = append(to.Options, option)
	return option
}
