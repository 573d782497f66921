package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// target is one fuzz target and the package that it is in.
type target struct {
	name, pkg, dir string
}

// targets finds what `go test -fuzz` would take for a target in packages, without building
// them. They come in the order of packages and names.
func targets(ctx context.Context, packages string, wanted *regexp.Regexp) ([]target, error) {
	list := exec.CommandContext(ctx, "go", "list", "-json=Dir,ImportPath,TestGoFiles,XTestGoFiles", packages)
	list.Stderr = os.Stderr
	text, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("listing packages: %w", err)
	}
	var out []target
	for dec := json.NewDecoder(strings.NewReader(string(text))); ; {
		var p struct {
			Dir, ImportPath           string
			TestGoFiles, XTestGoFiles []string
		}
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("listing packages: %w", err)
		}
		for _, file := range append(p.TestGoFiles, p.XTestGoFiles...) {
			names, err := declared(filepath.Join(p.Dir, file))
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				if wanted.MatchString(name) {
					out = append(out, target{name, p.ImportPath, p.Dir})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b target) int { return cmp.Or(strings.Compare(a.pkg, b.pkg), strings.Compare(a.name, b.name)) })
	return out, nil
}

// declared returns the fuzz targets of a file. What is called so and is none, no build of
// the tests accepts.
func declared(file string) ([]string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && isTarget.MatchString(f.Name.Name) {
			out = append(out, f.Name.Name)
		}
	}
	return out, nil
}

// isTarget is the rule of the go command: no letter in lower case stands behind Fuzz.
var isTarget = regexp.MustCompile(`^Fuzz(?:\P{Ll}.*)?$`)
