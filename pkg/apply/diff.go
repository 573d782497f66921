package apply

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// Diff returns a unified diff of an object before and after. The texts inside a
// ConfigMap are compared line by line, each under its key, a node's setting as what stands on
// the node; everything else as YAML.
// Either side may be nil; became is what the second one is called. Equal objects give "".
func Diff(ref facts.Ref, before, after *unstructured.Unstructured, became string) (string, error) {
	return DiffBetween(ref, before, after, "now", became)
}

// DiffBetween is Diff with a name for the first object, too.
func DiffBetween(ref facts.Ref, before, after *unstructured.Unstructured, was, became string) (string, error) {
	if text, ok := settingDiff(before, after, was, became); ok {
		return strip(text), nil
	}
	var out strings.Builder
	a, b := shown(before), shown(after)
	if ref.Kind == "ConfigMap" && before != nil && after != nil {
		x, y := takeTexts(a), takeTexts(b)
		all := map[string]string{} // x is nil where there is no data yet
		maps.Copy(all, x)
		maps.Copy(all, y)
		for _, k := range slices.Sorted(maps.Keys(all)) {
			name := fmt.Sprintf("%s, key %s", ref, k)
			out.WriteString(emptyText(name, x, y, k))
			out.Write(diff.Diff(name+" ("+was+")", []byte(x[k]), name+" ("+became+")", []byte(y[k])))
		}
	}
	x, err := toYAML(a)
	if err != nil {
		return "", err
	}
	y, err := toYAML(b)
	if err != nil {
		return "", err
	}
	out.Write(diff.Diff(ref.String()+" ("+was+")", x, ref.String()+" ("+became+")", y))
	return strip(out.String()), nil
}

// emptyText shows that a key without text comes or goes, for which there is no line.
func emptyText(name string, x, y map[string]string, key string) string {
	before, had := x[key]
	after, has := y[key]
	switch {
	case had == has || before != after:
		return ""
	case has:
		return fmt.Sprintf("--- %s (absent)\n+++ %s (empty)\n", name, name)
	}
	return fmt.Sprintf("--- %s (empty)\n+++ %s (absent)\n", name, name)
}

// strip removes the command line that the diff package puts first.
func strip(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "diff ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// shown returns an object without what the server sets.
func shown(o *unstructured.Unstructured) map[string]any {
	if o == nil {
		return nil
	}
	return Bare(o).Object
}

func takeTexts(o map[string]any) map[string]string {
	texts, _, err := unstructured.NestedStringMap(o, "data")
	if err != nil {
		return nil
	}
	unstructured.RemoveNestedField(o, "data")
	return texts
}

func toYAML(o map[string]any) ([]byte, error) {
	if o == nil {
		return nil, nil
	}
	return yaml.Marshal(o)
}

// Patch returns the JSON patch that makes a change of an object that stays.
func Patch(c fixes.Change) ([]Operation, error) {
	step, err := newStep(c)
	return step.Patch, err
}
