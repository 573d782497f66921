package facts

import (
	"fmt"
	"testing"
)

// An object is found by kind, namespace and name, unless its kind has no form of the API here.
func TestObject(t *testing.T) {
	for _, src := range Sources() {
		if !src.Object() {
			continue
		}
		kept := src != Pods && src != EndpointSlices && src != Events
		text := ""
		for _, at := range []string{"namespace: ash, name: elm", "namespace: ash, name: oak", "namespace: fir, name: oak"} {
			text += fmt.Sprintf("kind: %s\nmetadata: {%s, uid: %q}\n---\n", src.Kind, at, at)
		}
		s := loadFiles(t, map[string]string{"objects.yaml": text})
		for _, r := range []Ref{{src.Kind, "ash", "oak"}, {src.Kind, "fir", "elm"}, {"Other", "ash", "oak"}} {
			o := s.Object(r)
			if want := kept && r == (Ref{src.Kind, "ash", "oak"}); (o != nil) != want || want && o.GetUID() != "namespace: ash, name: oak" {
				t.Errorf("%s: got %v, want one: %t", r, o, want)
			}
		}
	}
}
