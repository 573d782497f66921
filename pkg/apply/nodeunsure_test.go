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

func routed(from, to string) fixes.Change {
	s := facts.Setting{Node: "oven", Path: "/proc/sys/net/ipv4/ip_forward"}
	return fixes.Change{Before: fixes.SettingObject(s.With(&from)), After: fixes.SettingObject(s.With(&to))}
}

// Whether a node is as it was decides what becomes of the entry.
func TestNodeSettingFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		nodes apply.Nodes
		state apply.State
		err   string
	}{
		{"certainly not written", &kitchen{err: facts.AsItWas(errors.New("no pod starts"))}, apply.NotApplied, "no pod starts (the node is as it was)"},
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
			r, err := a.Apply(t.Context(), plan(routed("0", "1")), nil)
			if err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "\n") || r.State != test.state {
				t.Errorf("%v, %s; want %q, %s", err, r.State, test.err, test.state)
			}
		})
	}
}
