package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// Step is one write in a form that can be kept and taken back: patches for an object
// that stays, the object itself for one that is created or deleted.
type Step struct {
	Ref        facts.Ref                  `json:"ref"`
	APIVersion string                     `json:"apiVersion"`
	Patch      []Operation                `json:"patch,omitempty"`
	Undo       []Operation                `json:"undo,omitempty"`
	Create     *unstructured.Unstructured `json:"create,omitempty"`
	Delete     *unstructured.Unstructured `json:"delete,omitempty"`

	// UID is the object's that was shown, or of the one that was created.
	UID types.UID `json:"uid,omitempty"`
	// Before and After are the object as it was shown, where it stays, and as it was planned
	// or, once it is written, as the API server had it then, without what the server sets.
	Before *unstructured.Unstructured `json:"before,omitempty"`
	After  *unstructured.Unstructured `json:"after,omitempty"`
}

// ErrSecret refuses a plan that touches a Secret: the journal would hold it.
var ErrSecret = errors.New("a repair does not touch Secrets, since the journal would hold what is in them")

// Operation is one line of a JSON patch (RFC 6902).
type Operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// MarshalJSON keeps a null or empty value where the operation has one; only remove has
// none.
func (o Operation) MarshalJSON() ([]byte, error) {
	if o.Op == "remove" {
		return json.Marshal(map[string]any{"op": o.Op, "path": o.Path})
	}
	return json.Marshal(map[string]any{"op": o.Op, "path": o.Path, "value": o.Value})
}

// UnmarshalJSON keeps numbers digit by digit, as the tests of an undo compare them.
func (o *Operation) UnmarshalJSON(data []byte) error {
	type plain Operation
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode((*plain)(o))
}

func newStep(c fixes.Change) (Step, error) {
	step := Step{Ref: c.Ref(), APIVersion: c.Object().GetAPIVersion()}
	if step.Ref.Kind == "Secret" && step.APIVersion == "v1" {
		return Step{}, fmt.Errorf("%s: %w", step.Ref, ErrSecret)
	}
	if c.Before != nil {
		step.UID = c.Before.GetUID()
	}
	switch {
	case c.Before == nil:
		step.Create = c.After
		return step, nil
	case c.After == nil:
		step.Delete = c.Before
		return step, nil
	}
	var err error
	if step.Patch, err = patch(c.Before, c.After); err != nil {
		return Step{}, fmt.Errorf("comparing %s: %w", c.Ref(), err)
	}
	if step.Undo, err = patch(c.After, c.Before); err != nil {
		return Step{}, fmt.Errorf("comparing %s: %w", c.Ref(), err)
	}
	step.Undo = keeping(step.Undo, c.After)
	if step.onNode() {
		step.Patch = keeping(step.Patch, c.Before) // no resourceVersion guards it
	}
	step.Before, step.After = Bare(c.Before), Bare(c.After)
	return step, nil
}

// keeping adds the guards that an undo needs because no resourceVersion guards it: add
// would overwrite a member that somebody has set since, or put an element into a list
// that is another one by now, and an index may lead to another element, such as to a
// container in front of which one was put. The API server takes null for what is absent
// (gopkg.in/evanphx/json-patch.v4, Patch.test).
func keeping(ops []Operation, from *unstructured.Unstructured) []Operation {
	var out []Operation
	tested := map[string]bool{}
	test := func(path string, value any) {
		if !tested[path] {
			out = append(out, Operation{Op: "test", Path: path, Value: value})
		}
		tested[path] = true
	}
	for _, op := range ops {
		for i := range op.Path {
			if op.Path[i] != '/' {
				continue
			}
			if name, ok := elementName(from, op.Path[:i]); ok {
				test(op.Path[:i]+"/name", name)
			}
		}
		if op.Op == "add" {
			parent := op.Path[:strings.LastIndex(op.Path, "/")]
			if list, ok := at(from.Object, parent).([]any); ok {
				test(parent, list)
			} else {
				test(op.Path, nil)
			}
		}
		out = append(out, op)
	}
	return out
}

// elementName returns the name of a list's element, where a path leads to one that has
// a name.
func elementName(o *unstructured.Unstructured, path string) (string, bool) {
	i := max(strings.LastIndex(path, "/"), 0)
	_, inList := at(o.Object, path[:i]).([]any)
	element, _ := at(o.Object, path).(map[string]any)
	name, ok := element["name"].(string)
	return name, ok && inList
}

// at returns what stands at a JSON pointer, or nil.
func at(v any, pointer string) any {
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch in := v.(type) {
		case map[string]any:
			v = in[strings.NewReplacer("~1", "/", "~0", "~").Replace(token)]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

// patch returns the operations that lead from one object to the other, each replaced
// value guarded by a test of what it was.
func patch(from, to *unstructured.Unstructured) ([]Operation, error) {
	a, err := json.Marshal(from)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(to)
	if err != nil {
		return nil, err
	}
	ops, err := jsonpatch.CreatePatch(a, b)
	if err != nil {
		return nil, err
	}
	back, err := jsonpatch.CreatePatch(b, a)
	if err != nil {
		return nil, err
	}
	was := map[string]any{}
	for _, op := range back {
		was[op.Path] = op.Value
	}
	var out []Operation
	for _, op := range ops {
		if v, known := was[op.Path]; known && op.Operation != "add" {
			out = append(out, Operation{Op: "test", Path: op.Path, Value: v})
		}
		out = append(out, Operation{Op: op.Operation, Path: op.Path, Value: op.Value})
	}
	return out, nil
}

// inverse swaps the directions of a step.
func (s Step) inverse() Step {
	s.Patch, s.Undo = s.Undo, s.Patch
	s.Create, s.Delete = s.Delete, s.Create
	s.Before, s.After = s.After, s.Before
	if s.Create != nil {
		s.UID = "" // it comes back as another object
	}
	return s
}

// do carries one step out, or asks what it would do. version, where given, is the only
// one that may be overwritten.
func (a *Applier) do(ctx context.Context, s Step, version *string, dryRun string) (*unstructured.Unstructured, error) {
	client, err := a.resource(s)
	if err != nil {
		return nil, err
	}
	var dry []string
	if dryRun != "" {
		dry = []string{dryRun}
	}
	switch {
	case s.Create != nil:
		return created(client.Create(ctx, Bare(s.Create), metav1.CreateOptions{DryRun: dry, FieldManager: fieldManager}))
	case s.Delete != nil:
		opts := metav1.DeleteOptions{DryRun: dry, Preconditions: &metav1.Preconditions{ResourceVersion: version}}
		if s.UID != "" {
			opts.Preconditions.UID = &s.UID
		}
		return nil, told(client.Delete(ctx, s.Ref.Name, opts))
	}
	ops := slices.Clone(s.Patch)
	if s.UID != "" {
		ops = slices.Insert(ops, 0, Operation{Op: "test", Path: "/metadata/uid", Value: string(s.UID)})
	}
	if version != nil {
		ops = append(ops, Operation{Op: "add", Path: "/metadata/resourceVersion", Value: *version})
	}
	data, err := json.Marshal(ops)
	if err != nil {
		return nil, err
	}
	return created(client.Patch(ctx, s.Ref.Name, types.JSONPatchType, data, metav1.PatchOptions{DryRun: dry, FieldManager: fieldManager}))
}

func created(u *unstructured.Unstructured, err error) (*unstructured.Unstructured, error) {
	return u, told(err)
}

// told turns the API server's ways to say "no longer what you think" into ErrChanged: a
// conflict of versions, and a JSON patch that does not apply, which it answers with 422
// and no causes (k8s.io/apiserver pkg/endpoints/handlers/patch.go, applyJSPatch); an
// object that fails validation comes with them.
func told(err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err
	}
	details := status.Status().Details
	if apierrors.IsConflict(err) || apierrors.IsInvalid(err) && (details == nil || len(details.Causes) == 0) {
		return ErrChanged
	}
	return err
}

// Bare returns what of an object may be sent to create it again.
func Bare(o *unstructured.Unstructured) *unstructured.Unstructured {
	o = o.DeepCopy()
	for _, field := range []string{"resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(o.Object, "status")
	return o
}

func (a *Applier) resource(s Step) (dynamic.ResourceInterface, error) {
	if s.onNode() {
		return a.nodeResource(s)
	}
	gv, err := schema.ParseGroupVersion(s.APIVersion)
	if err != nil {
		return nil, err
	}
	kind := schema.GroupKind{Group: gv.Group, Kind: s.Ref.Kind}
	mapping, err := a.Mapper.RESTMapping(kind, gv.Version)
	if fresh, ok := a.Mapper.(meta.ResettableRESTMapper); ok && meta.IsNoMatchError(err) {
		fresh.Reset()
		mapping, err = a.Mapper.RESTMapping(kind, gv.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("finding the API of %s: %w", s.Ref.Kind, err)
	}
	client := a.Client.Resource(mapping.Resource)
	if s.Ref.Namespace != "" {
		return client.Namespace(s.Ref.Namespace), nil
	}
	return client, nil
}
