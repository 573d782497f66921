package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// labPage is the page that the suite of the lab writes.
const labPage = "docs/LAB.md"

// proof is what came of a fix in the lab.
type proof struct{ fault, result string }

// readProofs returns the faults that each fix has to cure, by the fix's id. The lab is a
// module of its own: what its faults name is read from their source, and what came of
// them from the page that its suite writes.
func readProofs(dir, page string) (map[string][]proof, error) {
	funcs, err := readFuncs(dir)
	if err != nil {
		return nil, err
	}
	results, err := readLab(page)
	if err != nil {
		return nil, err
	}
	out := map[string][]proof{}
	for _, name := range called(funcs["All"]) {
		f := funcs[name]
		fix, err := f.fix(funcs)
		if err != nil {
			return nil, fmt.Errorf("%s: fault %q: %w", dir, f.fault, err)
		}
		if fix != "" {
			out[fix] = append(out[fix], proof{f.fault, results[f.fault]})
		}
	}
	return out, nil
}

// faultFunc is a function of the lab's faults.
type faultFunc struct {
	fault string // by the name of its file, which is that of a fault
	body  *ast.BlockStmt
}

func readFuncs(dir string) (map[string]faultFunc, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	out := map[string]faultFunc{}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		fault := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(name), ".go"), "_", "-")
		for _, d := range file.Decls {
			if f, is := d.(*ast.FuncDecl); is && f.Recv == nil && f.Body != nil {
				out[f.Name.Name] = faultFunc{fault, f.Body}
			}
		}
	}
	if out["All"].body == nil {
		return nil, fmt.Errorf("%s: no function All lists the faults", dir)
	}
	return out, nil
}

// called returns the functions without a receiver that a function calls, in its order.
func called(f faultFunc) []string {
	var out []string
	ast.Inspect(f.body, func(n ast.Node) bool {
		if call, is := n.(*ast.CallExpr); is {
			if id, is := call.Fun.(*ast.Ident); is && !slices.Contains(out, id.Name) {
				out = append(out, id.Name)
			}
		}
		return true
	})
	return out
}

// fix returns the fix that has to cure the fault: the one behind --with, or else the
// preferred one of its check; "" where the fault names none.
func (f faultFunc) fix(funcs map[string]faultFunc) (string, error) {
	words, names := f.words(funcs)
	if !names {
		return "", nil
	}
	if i := slices.Index(words, "--with"); i >= 0 && i+1 < len(words) {
		return words[i+1], nil
	}
	var out []string
	for _, word := range words {
		if id := preferred(word); id != "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	if len(out) != 1 {
		return "", fmt.Errorf("of the fixes %q it must name one, by its check or behind --with", out)
	}
	return out[0], nil
}

// preferred returns the first fix of a check's findings.
func preferred(check string) string {
	for _, f := range fixes.All() {
		if slices.ContainsFunc(f.For, func(c *checks.Check) bool { return c.ID == check }) {
			return f.ID
		}
	}
	return ""
}

// words returns the strings in a function and in those that it calls, and whether the
// field Fix is set there.
func (f faultFunc) words(funcs map[string]faultFunc) (out []string, fix bool) {
	todo := []faultFunc{f}
	seen := map[string]bool{}
	for ; len(todo) > 0; todo = todo[1:] {
		ast.Inspect(todo[0].body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if word, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					out = append(out, word)
				}
			case *ast.Ident:
				fix = fix || n.Name == "Fix"
			}
			return true
		})
		for _, name := range called(todo[0]) {
			if next, known := funcs[name]; known && !seen[name] {
				seen[name] = true
				todo = append(todo, next)
			}
		}
	}
	return out, fix
}

// readLab reads from the lab's page what came of the repair of each fault, by its id.
func readLab(name string) (map[string]string, error) {
	rows, err := labRows(name, "cured", "undone")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, row := range rows {
		out[row["fault"]] = outcome(row["cured"], row["undone"])
	}
	return out, nil
}

// readNamed notes of which of the lab's faults each check was the root, going by its page.
func readNamed(name string, out map[string]*shown) error {
	rows, err := labRows(name, "named", "check says")
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row["named"] != "yes" && !strings.HasPrefix(row["named"], "at depth") {
			continue
		}
		id := strings.Trim(row["check says"], "`")
		s := out[id]
		if s == nil {
			return fmt.Errorf("%s: %s was named by %q, which is no check", name, row["fault"], id)
		}
		if !slices.Contains(s.states, row["fault"]) {
			s.states = append(s.states, row["fault"])
		}
	}
	return nil
}

// labRows reads the table of faults of the lab's page, which must have some columns: each row
// by the names of these.
func labRows(name string, columns ...string) ([]map[string]string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var out []map[string]string
	var header []string
	for line := range strings.Lines(string(text)) {
		row := cells(line)
		switch {
		case slices.Contains(row, "fault"):
			header = row
			for _, column := range columns {
				if !slices.Contains(header, column) {
					return nil, fmt.Errorf("%s: its table lacks the column %s", name, column)
				}
			}
		case header != nil && len(row) == len(header) && strings.Trim(row[0], "-") != "":
			of := map[string]string{}
			for i, column := range header {
				of[column] = row[i]
			}
			out = append(out, of)
		}
	}
	if header == nil {
		return nil, fmt.Errorf("%s: it has no table of faults", name)
	}
	return out, nil
}

// cells splits a row of a table, in which \| is no border; nil where a line is none.
func cells(line string) []string {
	line = strings.ReplaceAll(strings.TrimSpace(line), `\|`, "\x00")
	if !strings.HasPrefix(line, "|") {
		return nil
	}
	out := strings.Split(strings.Trim(line, "|"), "|")
	for i := range out {
		out[i] = strings.TrimSpace(strings.ReplaceAll(out[i], "\x00", "|"))
	}
	return out
}

func outcome(cured, undone string) string {
	words := func(cell, done string) string {
		if cell == "yes" {
			return done
		}
		return "not " + done
	}
	if cured == "" && undone == "" {
		return ""
	}
	return words(cured, "cured") + ", " + words(undone, "undone")
}

// labWords tells the faults with the same result together.
func labWords(list []proof) string {
	if len(list) == 0 {
		return "no fault in the lab"
	}
	var order []string
	faults := map[string][]string{}
	for _, p := range list {
		if p.result == "" {
			p.result = "not run"
		}
		if faults[p.result] == nil {
			order = append(order, p.result)
		}
		faults[p.result] = append(faults[p.result], p.fault)
	}
	var out []string
	for _, result := range order {
		out = append(out, quoted(faults[result])+": "+result)
	}
	return strings.Join(out, "; ")
}

// readSurvived reads how many interruptions each fix survived, by its id. Without the
// file nothing was tried.
func readSurvived(name string) (map[string]string, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		known := len(words) > 0 && slices.ContainsFunc(fixes.All(), func(f *fixes.Fix) bool { return f.ID == words[0] })
		if !known { // the header and the sum
			continue
		}
		n := len(words)
		if n < 4 || words[n-2] != "of" {
			return nil, fmt.Errorf("%s: the row of %s does not end with N of N", name, words[0])
		}
		out[words[0]] = strings.Join(words[n-3:], " ")
	}
	return out, nil
}
