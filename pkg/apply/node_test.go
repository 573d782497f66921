package apply_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// kitchen is one setting of a node, kept here, and an error that a write ends with.
type kitchen struct {
	value *string
	err   error
}

func (k *kitchen) Value(context.Context, facts.Setting) (*string, error) { return k.value, nil }

func (k *kitchen) Set(_ context.Context, s facts.Setting, to *string) error {
	if !facts.Same(s.Value, k.value) {
		return apply.ErrChanged
	}
	if k.err == nil {
		k.value = to
	}
	return k.err
}

func forwarding(from, to string) fixes.Change {
	s := facts.Setting{Node: "oven", Path: "/proc/sys/net/ipv4/ip_forward"}
	return fixes.Change{Before: fixes.SettingObject(s.With(&from)), After: fixes.SettingObject(s.With(&to))}
}

// A node's setting goes the way of an object: shown, journalled, written over what was shown
// alone, and taken back.
func TestNodeSetting(t *testing.T) {
	zero, one := "0", "1"
	s := newServer(t)
	a := s.applier(t)
	k := &kitchen{value: &zero}
	a.Nodes = k
	p := plan(forwarding("0", "1"))
	shown, err := a.Preview(t.Context(), p)
	if err != nil || *k.value != "0" || len(shown) != 1 {
		t.Fatalf("the preview: %v, %q, %d changes", err, *k.value, len(shown))
	}
	r, err := a.Apply(t.Context(), p, nil)
	if err != nil || *k.value != "1" || r.State != apply.Applied || !r.OnNodes() {
		t.Fatalf("%v, %q, %s", err, *k.value, r.State)
	}
	if err := a.Undo(t.Context(), r, false); err != nil || *k.value != "0" {
		t.Fatalf("undo: %v, %q", err, *k.value)
	}
	k.value = &one
	if r, err = a.Apply(t.Context(), p, nil); !errors.Is(err, apply.ErrChanged) || r.State != apply.NotApplied {
		t.Errorf("over another value: %v, %s", err, r.State)
	}
}

func TestNodeSettingFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		nodes apply.Nodes
		state apply.State
		err   string
	}{
		{"certainly not written", &kitchen{err: apply.NotWritten(errors.New("no pod starts"))}, apply.NotApplied, "no pod starts (the node is as it was)"},
		{"perhaps written", &kitchen{err: errors.New("the pod is gone")}, apply.Pending, "the pod is gone"},
		{"nobody reaches nodes", nil, apply.NotApplied, "only be changed with --allow-node-changes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newServer(t).applier(t)
			a.Nodes = test.nodes
			if k, is := test.nodes.(*kitchen); is {
				zero := "0"
				k.value = &zero
			}
			r, err := a.Apply(t.Context(), plan(forwarding("0", "1")), nil)
			if err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "\n") || r.State != test.state {
				t.Errorf("%v, %s; want %q, %s", err, r.State, test.err, test.state)
			}
		})
	}
}

// What an entry of the journal makes of a setting is held against what repairs change.
func TestNodeSettingHostile(t *testing.T) {
	zero := "0"
	for name, edit := range map[string]func(*apply.Step){
		"no sides": func(s *apply.Step) { s.Before, s.After = nil, nil },
		"another file": func(s *apply.Step) {
			s.Before.Object["setting"] = map[string]any{"node": "oven", "path": "/etc/shadow"}
		},
		"it is deleted": func(s *apply.Step) { s.Delete = s.Before },
	} {
		t.Run(name, func(t *testing.T) {
			a := newServer(t).applier(t)
			k := &kitchen{value: &zero}
			a.Nodes = k
			r, err := a.Apply(t.Context(), plan(forwarding("0", "1")), nil)
			if err != nil {
				t.Fatal(err)
			}
			edit(&r.Steps[0])
			if err := a.Undo(t.Context(), r, true); err == nil || *k.value != "1" {
				t.Errorf("undone: %v, %q", err, *k.value)
			}
		})
	}
}
