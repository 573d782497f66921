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
		if key, ok := n.Key.(*ast.Ident); ok && slices.Contains([]string{"Doc", "Title", "ByHand"}, key.Name) {
			w.tell(n.Value)
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

// tell takes the words of what people are told.
func (w words) tell(n ast.Expr) {
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok {
			noteLiteral(lit, w.prose)
		}
		return true
	})
}

func noteLiteral(lit *ast.BasicLit, list map[string]bool) {
	if lit.Kind != token.STRING {
		return
	}
	if text, err := strconv.Unquote(lit.Value); err == nil {
		note(list, text)
	}
}
