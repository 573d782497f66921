package apply_test

import (
	"encoding/json"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// TestPlantedSettings are entries that somebody else wrote: none reaches a node.
func TestPlantedSettings(t *testing.T) {
	evil := facts.Setting{Node: "medlar-2", Path: "/proc/sys/kernel/core_pattern"}
	for name, tamper := range map[string]func(s *apply.Step){
		"another sysctl":         func(s *apply.Step) { *s = stepOf(evil, word("0"), word("1")) },
		"another unit":           func(s *apply.Step) { s.After.Object["setting"].(map[string]any)["unit"] = "rescue.target" },
		"another one than shown": func(s *apply.Step) { s.Ref.Name = "medlar-2:/etc/sysctl.d/10-netdoctor.conf" },
		"shown as an object":     func(s *apply.Step) { s.Ref = facts.Ref{Kind: "ConfigMap", Namespace: "shop", Name: forwarding.Key()} },
		"no object":              func(s *apply.Step) { s.Before, s.After = nil, nil },
		"an empty object":        func(s *apply.Step) { s.After = &unstructured.Unstructured{} },
		"no setting":             func(s *apply.Step) { s.After.Object["setting"] = []any{"x"} },
		"deletes":                func(s *apply.Step) { s.Create, s.Patch = s.After, nil },
		"another value": func(s *apply.Step) {
			s.Undo = []apply.Operation{{Op: "test", Path: "/setting/value", Value: "1"}, {Op: "replace", Path: "/setting/value", Value: "7"}}
		},
		"a patch into another": func(s *apply.Step) {
			s.Undo = []apply.Operation{{Op: "replace", Path: "/setting/path", Value: lasting.Path}, {Op: "replace", Path: "/metadata/name", Value: lasting.Key()},
				{Op: "replace", Path: "/setting/value", Value: "net.ipv4.ip_forward = 0\n"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, _, _ := mixed(t)
			n.values[forwarding.Key()] = word("1")
			step := stepOf(forwarding, word("0"), word("1"))
			tamper(&step)
			a := n.applier(t)
			text, err := json.Marshal(apply.Repair{ID: "20260301-225958-0badcafe", State: apply.Applied, Done: 1, Steps: []apply.Step{step}})
			if err != nil {
				t.Fatal(err)
			}
			for _, force := range []bool{false, true} {
				r := new(apply.Repair)
				if err := json.Unmarshal(text, r); err != nil {
					return // damaged, and named as that
				}
				if _, err := a.PreviewUndo(t.Context(), r, force); err == nil {
					t.Error("it is shown as one that can be taken back")
				}
				if err := a.Undo(t.Context(), r, force); err == nil {
					t.Error("it is taken back")
				}
				r.State, r.Done = apply.Pending, 0
				r.Steps[0].Patch, r.Steps[0].Undo = r.Steps[0].Undo, r.Steps[0].Patch
				r.Steps[0].Before, r.Steps[0].After = r.Steps[0].After, r.Steps[0].Before
				if err := a.Resume(t.Context(), r); err == nil {
					t.Error("it is carried on")
				}
			}
			same(t, "written", []string(nil), n.wrote())
			if slices.Contains(n.asked, "read "+evil.Key()) {
				t.Error("a setting that no repair changes was read")
			}
		})
	}
}

// stepOf is an entry's step over a setting that may be none of a repair's.
func stepOf(s facts.Setting, from, to *string) apply.Step {
	test := func(v *string) apply.Operation { return apply.Operation{Op: "test", Path: "/setting/value", Value: *v} }
	replace := func(v *string) apply.Operation {
		return apply.Operation{Op: "replace", Path: "/setting/value", Value: *v}
	}
	c := set(s, from, to)
	return apply.Step{
		Ref: c.Ref(), APIVersion: fixes.SettingVersion, Before: c.Before, After: c.After,
		Patch: []apply.Operation{test(from), replace(to)}, Undo: []apply.Operation{test(to), replace(from)},
	}
}
