package anonymize

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	kubeproxyv1alpha1 "k8s.io/kube-proxy/config/v1alpha1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

var update = flag.Bool("update", false, "write core.txt and prose.txt anew")

// readers are the packages that look for words in what a bundle holds.
var readers = []string{"agent", "cause", "checks", "corefile", "facts", "fixes", "gather", "host", "plugins", "probe", "tries"}

// The lists hold every word that a check looks for: such a word must not be replaced.
func TestListsAreUpToDate(t *testing.T) {
	core, prose := map[string]bool{}, map[string]bool{}
	for _, name := range readers {
		collectSource(t, filepath.Join("..", name), core, prose)
	}
	for _, name := range []string{"../../plugins.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		note(core, regexp.MustCompile(`(?m)^ *(text|note|#).*$`).ReplaceAllString(string(text), ""))
	}
	for no := range syscall.Errno(134) {
		note(core, no.Error())
	}
	collectTypes(core, prose)
	for word := range core {
		delete(prose, word)
	}
	for name, list := range map[string]map[string]bool{"core.txt": core, "prose.txt": prose} {
		want := page(list)
		if *update {
			if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not up to date: go test ./pkg/anonymize -run Lists -update writes it anew", name)
		}
	}
}

// page writes one line for each first letter.
func page(list map[string]bool) string {
	out := "# Generated: go test ./pkg/anonymize -run Lists -update"
	last := byte(0)
	for _, word := range slices.Sorted(maps.Keys(list)) {
		mark := " "
		if word[0] != last {
			mark = "\n"
		}
		out, last = out+mark+word, word[0]
	}
	return out + "\n"
}

var wordForm = regexp.MustCompile(`[A-Za-z]+`)

// escapeForm is what stands for something else in a regular expression or in a format.
var escapeForm = regexp.MustCompile(`\\[a-zA-Z]|%[-+ #0-9.]*[a-zA-Z]`)

func note(list map[string]bool, text string) {
	for _, word := range wordForm.FindAllString(escapeForm.ReplaceAllString(text, " "), -1) {
		if len(word) > 1 && len(word) < 40 {
			list[strings.ToLower(word)] = true
		}
	}
}

func collectSource(t *testing.T, dir string, core, prose map[string]bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && slices.Contains([]string{"Doc", "Title", "ByHand"}, key.Name) {
					noteLiterals(n.Value, prose)
					return false
				}
			case *ast.BasicLit:
				noteLiterals(n, core)
			case *ast.StructType:
				for _, field := range n.Fields.List {
					for _, name := range field.Names {
						note(core, name.Name) // JSON is read into it
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
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

// collectTypes takes the names of fields for the core, and what the API says of them for
// plain English.
func collectTypes(core, prose map[string]bool) {
	types := []any{kubeletv1beta1.KubeletConfiguration{}, kubeproxyv1alpha1.KubeProxyConfiguration{}, facts.Manifest{}, facts.Try{}, facts.Answer{}}
	for _, src := range facts.Sources() {
		note(core, src.Name+" "+src.Kind+" "+src.Group)
		if src.Object() {
			types = append(types, facts.New(src))
		}
	}
	seen := map[reflect.Type]bool{}
	for _, value := range types {
		collectType(reflect.TypeOf(value), seen, core, prose)
	}
}

func collectType(t reflect.Type, seen map[reflect.Type]bool, core, prose map[string]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
		collectType(t.Elem(), seen, core, prose)
	case reflect.Struct:
		if documented, ok := reflect.New(t).Interface().(interface{ SwaggerDoc() map[string]string }); ok {
			for _, text := range documented.SwaggerDoc() {
				note(prose, text)
			}
		}
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			note(core, name)
			collectType(t.Field(i).Type, seen, core, prose)
		}
	}
}
