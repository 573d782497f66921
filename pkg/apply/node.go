package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// Nodes reads and writes settings of nodes.
type Nodes interface {
	// Value returns what a setting is now, nil where it is not there.
	Value(ctx context.Context, s facts.Setting) (*string, error)

	// Set makes a setting another value, and returns once the node is well with it. It
	// writes only where the setting still has the value that s has: else the error is
	// ErrChanged. It is facts.ErrAsItWas where that is certain.
	Set(ctx context.Context, s facts.Setting, to *string) error
}

// errNoNodes says that this Applier cannot reach nodes.
var errNoNodes = errors.New("a setting of a node can only be changed with --allow-node-changes")

// eachNode bounds a write on a node that an interrupt does not end: a pod there, the restart
// of its kubelet until the node is Ready, and the same once more where it is put back.
const eachNode = 10 * time.Minute

// onNode is the API of a step that changes a node's setting. The setting's value is guarded
// by the node itself, where it is written; resourceVersions there are none.
type onNode struct {
	dynamic.ResourceInterface // of which a step on a node uses Get and Patch alone

	nodes Nodes
	step  Step
}

// Get returns the setting as it is.
func (n onNode) Get(ctx context.Context, _ string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	s, err := n.step.setting()
	if err != nil {
		return nil, err
	}
	value, err := n.nodes.Value(ctx, s)
	if err != nil {
		// What an API server says of a pod, such as "not found", it does not say of the setting.
		return nil, errors.New(strings.TrimSuffix(err.Error(), " ("+facts.ErrAsItWas.Error()+")"))
	}
	return fixes.SettingObject(s.With(value)), nil
}

// Patch applies operations to the setting as it is, or tells what would come of it.
func (n onNode) Patch(ctx context.Context, name string, _ types.PatchType, data []byte, opts metav1.PatchOptions, _ ...string) (*unstructured.Unstructured, error) {
	now, err := n.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, facts.AsItWas(err)
	}
	before, err := fixes.SettingOf(now)
	if err != nil {
		return nil, facts.AsItWas(err)
	}
	after, err := patched(now, data)
	if err != nil {
		return nil, err
	}
	if after.With(nil) != before.With(nil) {
		return nil, facts.AsItWas(fmt.Errorf("%s: a patch makes another setting of it", n.step.Ref))
	}
	if !facts.Same(before.Value, after.Value) && !slices.Contains(opts.DryRun, metav1.DryRunAll) {
		if err := n.nodes.Set(ctx, before, after.Value); err != nil {
			return nil, err
		}
	}
	return fixes.SettingObject(after), nil
}

// patched returns the setting that a patch makes of an object: ErrChanged where its tests
// fail.
func patched(now *unstructured.Unstructured, data []byte) (facts.Setting, error) {
	p, err := jsonpatch.DecodePatch(data)
	if err != nil {
		return facts.Setting{}, facts.AsItWas(err)
	}
	text, err := json.Marshal(now)
	if err != nil {
		return facts.Setting{}, facts.AsItWas(err)
	}
	if text, err = p.Apply(text); err != nil {
		return facts.Setting{}, ErrChanged
	}
	made := new(unstructured.Unstructured)
	if err := json.Unmarshal(text, &made.Object); err != nil {
		return facts.Setting{}, facts.AsItWas(err)
	}
	s, err := fixes.SettingOf(made)
	if err != nil {
		return s, facts.AsItWas(err)
	}
	return s, nil
}

// setting is what a step changes. It is an error where the step says that it changes another
// one, or holds none that a repair may change: a journal's entry may have been written by
// anybody, and what is shown of it is the step's Ref.
func (s Step) setting() (facts.Setting, error) {
	out, err := fixes.SettingOf(s.before())
	if err == nil && s.Ref != (facts.Ref{Kind: facts.SettingKind, Name: out.Key()}) {
		err = fmt.Errorf("it changes %s", out.Key())
	}
	if err != nil {
		return out, fmt.Errorf("%s: %w", s.Ref, err)
	}
	return out, nil
}

// onNode tells whether a step changes a node, and not an object.
func (s Step) onNode() bool {
	return s.APIVersion == fixes.SettingVersion && s.Ref.Kind == facts.SettingKind
}

// nodeResource returns the API of such a step.
func (a *Applier) nodeResource(s Step) (dynamic.ResourceInterface, error) {
	if a.Nodes == nil {
		return nil, facts.AsItWas(errNoNodes)
	}
	if s.Create != nil || s.Delete != nil {
		return nil, facts.AsItWas(fmt.Errorf("%s: a setting of a node is neither made nor deleted", s.Ref))
	}
	return onNode{nodes: a.Nodes, step: s}, nil
}

// OnNodes tells whether a repair changes nodes.
func (r *Repair) OnNodes() bool { return slices.ContainsFunc(r.Steps, Step.onNode) }
