package vocabulary

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// module is what the import paths of this repository's packages begin with.
const module = "github.com/kubectl-netdoctor/netdoctor"

// collectPackages takes the words of packages, which it is given as folders, and of all of the
// repository that they import, for whatever system a file is.
func (w words) collectPackages(dirs ...string) error {
	for i := 0; i < len(dirs); i++ {
		names, err := filepath.Glob(filepath.Join(dirs[i], "*.go"))
		if err != nil {
			return err
		}
		if len(names) == 0 {
			return fmt.Errorf("%s holds no package", dirs[i])
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, w.collect)
			for _, dir := range imported(file) {
				if !slices.Contains(dirs, dir) {
					dirs = append(dirs, dir)
				}
			}
		}
	}
	return nil
}

// imported returns the folders of the repository's packages that a file imports.
func imported(file *ast.File) []string {
	var out []string
	for _, spec := range file.Imports {
		dir, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module)
		if ours && (dir == "" || dir[0] == '/') {
			out = append(out, filepath.Join(".", dir))
		}
	}
	return out
}

// collect takes the words of one part of the syntax, and tells whether to go on with what is in
// it.
func (w words) collect(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ImportSpec:
		return false
	case *ast.KeyValueExpr:
		if message(n.Key) {
			w.tell(n.Value)
			return false
		}
	case *ast.AssignStmt:
		return !w.assigned(n)
	case *ast.CallExpr:
		if called(n, "fmt.Errorf", "errors.New") {
			w.tell(n)
			return false
		}
	case *ast.BasicLit:
		noteLiteral(n, w.core)
	case *ast.StructType:
		for _, field := range n.Fields.List {
			for _, name := range field.Names {
				note(w.core, name.Name) // JSON is read into it
			}
		}
	}
	return true
}

// assigned takes the words of a message that is put into a field or a variable, and tells
// whether it is one.
func (w words) assigned(n *ast.AssignStmt) bool {
	if len(n.Lhs) != len(n.Rhs) || !slices.ContainsFunc(n.Lhs, message) {
		return false
	}
	for i, to := range n.Lhs {
		if message(to) {
			w.tell(n.Rhs[i])
		} else {
			ast.Inspect(n.Rhs[i], w.collect)
		}
	}
	return true
}

// message tells of a field or a variable whose text people are told, by its name.
func message(n ast.Expr) bool {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		return message(n.Sel)
	case *ast.Ident:
		switch n.Name {
		case "Doc", "Title", "ByHand", "URL", "Message", "message", "Remedy", "remedy", "Reason", "Lacks", "Cost", "Warnings", "Manual":
			return true
		}
	}
	return false
}

// called tells of a call of one of these functions.
func called(n *ast.CallExpr, names ...string) bool {
	f, ok := n.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := f.X.(*ast.Ident)
	return ok && slices.Contains(names, pkg.Name+"."+f.Sel.Name)
}

// tell takes the words of what people are told. What a function makes of a literal may be
// something that is looked for, unless the function only writes.
func (w words) tell(n ast.Expr) {
	switch n := n.(type) {
	case *ast.BasicLit:
		noteLiteral(n, w.prose)
	case *ast.BinaryExpr:
		w.tell(n.X)
		w.tell(n.Y)
	case *ast.CompositeLit:
		w.tellAll(n.Elts)
	case *ast.CallExpr:
		if fun, ok := n.Fun.(*ast.Ident); ok && fun.Name == "append" || called(n, "fmt.Sprintf", "fmt.Sprint", "fmt.Errorf", "errors.New") {
			w.tellAll(n.Args)
			return
		}
		ast.Inspect(n, w.collect)
	default:
		ast.Inspect(n, w.collect)
	}
}

func (w words) tellAll(list []ast.Expr) {
	for _, n := range list {
		w.tell(n)
	}
}

func noteLiteral(lit *ast.BasicLit, list map[string]bool) {
	if lit.Kind != token.STRING {
		return
	}
	if text, err := strconv.Unquote(lit.Value); err == nil {
		note(list, text)
	}
}
