package fixes

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// readManifest reads objects that are parted by lines of ---, or are a List's, and sorts
// those first that others need.
func readManifest(text string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	seen := map[facts.Ref]bool{}
	var refused error
	err := facts.Documents(strings.NewReader(text), func(raw json.RawMessage) error {
		o := &unstructured.Unstructured{}
		if err := utiljson.Unmarshal(raw, &o.Object); err != nil {
			return err
		}
		for _, o := range listed(o) {
			if refused = newObject(o, seen); refused != nil {
				return refused
			}
			out = append(out, o)
		}
		return nil
	})
	if refused != nil {
		return nil, refused
	}
	if err != nil {
		return nil, fmt.Errorf("it is no YAML: %w", err)
	}
	if len(out) == 0 {
		return nil, errors.New("it holds no object")
	}
	slices.SortStableFunc(out, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	return out, nil
}

// newObject refuses what is no object, or was seen before.
func newObject(o *unstructured.Unstructured, seen map[facts.Ref]bool) error {
	ref := (Change{After: o}).Ref()
	switch {
	case o.GetKind() == "" || o.GetAPIVersion() == "" || o.GetName() == "":
		return errors.New("it holds something that is no object of the API (without kind, apiVersion or name)")
	case seen[ref]:
		return fmt.Errorf("it holds %s twice", ref)
	}
	seen[ref] = true
	return nil
}

// listed returns the objects of a List, or the one object that is none.
func listed(o *unstructured.Unstructured) []*unstructured.Unstructured {
	if !o.IsList() {
		return []*unstructured.Unstructured{o}
	}
	var out []*unstructured.Unstructured
	items, _ := o.Object["items"].([]any)
	for _, item := range items {
		fields, _ := item.(map[string]any)
		out = append(out, &unstructured.Unstructured{Object: fields})
	}
	return out
}

// rank is the place of a kind among those that others need.
func rank(o *unstructured.Unstructured) int {
	first := []string{"Namespace", "CustomResourceDefinition"}
	if i := slices.Index(first, o.GetKind()); i >= 0 {
		return i
	}
	return len(first)
}

// absent tells whether an object must be created: one that is there as the manifest has
// it need not, another one is refused. Of kinds that were not read the API server tells.
func absent(s *facts.Snapshot, o *unstructured.Unstructured) (bool, error) {
	ref := (Change{After: o}).Ref()
	there := s.Object(ref)
	if there == nil {
		return true, nil
	}
	have, err := runtime.DefaultUnstructuredConverter.ToUnstructured(there)
	if err != nil {
		return false, err
	}
	want := maps.Clone(o.Object)
	for _, field := range []string{"apiVersion", "kind", "status"} {
		delete(want, field)
	}
	if !within(want, have) {
		return false, fmt.Errorf("%s exists already and is another one than in the manifest, perhaps of an earlier installation; delete what is left of that, or apply the manifest by hand", ref)
	}
	return false, nil
}

// within tells whether all that one value says is said by another one, too.
func within(want, have any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		for name, v := range w {
			if v != nil && !within(v, h[name]) {
				return false
			}
		}
		return ok
	case []any:
		h, ok := have.([]any)
		for i := range w {
			if ok = ok && len(h) == len(w) && within(w[i], h[i]); !ok {
				return false
			}
		}
		return ok
	}
	return fmt.Sprint(want) == fmt.Sprint(have)
}
