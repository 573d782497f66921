package vocabulary

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func (w words) collectSource(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		w.collectFile(file)
		return nil
	})
}

func (w words) collectFile(file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && slices.Contains([]string{"Doc", "Title", "ByHand"}, key.Name) {
				noteLiterals(n.Value, w.prose)
				return false
			}
		case *ast.BasicLit:
			noteLiterals(n, w.core)
		case *ast.StructType:
			for _, field := range n.Fields.List {
				for _, name := range field.Names {
					note(w.core, name.Name) // JSON is read into it
				}
			}
		}
		return true
	})
}

func noteLiterals(n ast.Node, list map[string]bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				note(list, text)
			}
		}
		return true
	})
}
