package fixes_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// An entry of the journal may have been written by anybody: only what a repair changes is taken
// from it.
func TestSettingOf(t *testing.T) {
	on := "1"
	forward := facts.Setting{Node: "w3", Path: "/proc/sys/net/ipv4/ip_forward", Value: &on}
	object := func(edit func(o *unstructured.Unstructured)) *unstructured.Unstructured {
		o := fixes.SettingObject(forward)
		edit(o)
		return o
	}
	field := func(value any, path ...string) func(*unstructured.Unstructured) {
		return func(o *unstructured.Unstructured) { _ = unstructured.SetNestedField(o.Object, value, path...) }
	}
	for _, test := range []struct {
		name string
		o    *unstructured.Unstructured
		err  string
	}{
		{"a setting", object(func(*unstructured.Unstructured) {}), ""},
		{"nothing", nil, "there is no setting"},
		{"another kind", object(field("Pod", "kind")), "Pod is no setting"},
		{"another path", object(field("/proc/sys/kernel/core_pattern", "setting", "path")), "is no setting that a repair changes"},
		{"another name", object(field("w4:/proc/sys/net/ipv4/ip_forward", "metadata", "name")), "is no setting that a repair changes"},
		{"another form", object(field("all", "setting", "moves")), "reading w3:/proc/sys/net/ipv4/ip_forward"},
		{"no fields", object(func(o *unstructured.Unstructured) { delete(o.Object, "setting") }), "is no setting that a repair changes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := fixes.SettingOf(test.o)
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("%v, want %q", err, test.err)
			}
			if err == nil && (s.Key() != forward.Key() || !facts.Same(s.Value, &on)) {
				t.Errorf("got %+v", s)
			}
		})
	}
}
