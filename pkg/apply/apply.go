// Package apply carries a plan out: server-side dry run, diff, journal, guarded write,
// rollout, verification, undo. It is the only package that changes a user's objects.
//
// Every write is bound to what was shown: it carries the resourceVersion that the plan
// was made from, and the API server refuses it if the object has changed since.
package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// fieldManager is the name under which the API server records the writes.
const fieldManager = "kubectl-netdoctor"

// ErrChanged says that an object is no longer what the plan, or the undo, was made for.
var ErrChanged = errors.New("it has changed in the meantime")

// ErrInterrupted says that the caller's context ended between two writes.
var ErrInterrupted = errors.New("interrupted")

// eachWrite bounds a write that an interrupt does not end.
const eachWrite = 30 * time.Second

// learnKind is how long an API server may take to serve a kind that the step before
// defined.
const learnKind = 15 * time.Second

// retries is how often a write is tried again where only the status of its object moved.
const retries = 5

// Applier writes to one cluster.
type Applier struct {
	Client  dynamic.Interface
	Mapper  meta.RESTMapper
	Journal *Journal
	Server  string // the API server's address, for the journal
	Context string // the kubeconfig context, for the journal
	Version string // of this tool, for the journal
	Now     func() time.Time

	// Nodes reaches nodes; nil where none is to be changed.
	Nodes Nodes

	// Who says whom the API server takes the caller for, for the journal; may be nil.
	Who func(context.Context) string
}

// Preview is a change as the API server would carry it out.
type Preview struct {
	Ref           facts.Ref
	Before, After *unstructured.Unstructured
}

// Preview asks the API server what it would make of each change (dryRun=All). Nothing
// is written; admission and validation have had their say.
func (a *Applier) Preview(ctx context.Context, plan fixes.Plan) ([]Preview, error) {
	var out []Preview
	earlier := ahead{}
	for _, c := range plan.Changes {
		step, err := newStep(c)
		if err != nil {
			return nil, err
		}
		if earlier.needed(c) {
			out = append(out, Preview{Ref: c.Ref(), After: c.After})
			continue
		}
		earlier.add(c)
		after, err := a.guarded(ctx, step, guard(c.Before), metav1.DryRunAll)
		if err != nil {
			return nil, fmt.Errorf("dry run on %s: %w", c.Ref(), err)
		}
		out = append(out, Preview{Ref: c.Ref(), Before: c.Before, After: after})
	}
	return out, nil
}

// ahead are changes that later ones of the same plan stand on: the API server cannot be
// asked about those before it has carried these out.
type ahead map[facts.Ref]bool

func (a ahead) add(c fixes.Change) {
	switch {
	case c.After == nil:
		a[c.Ref()] = true // it may be made anew
	case c.Before == nil && c.Ref().Kind == "Namespace":
		a[c.Ref()] = true
	case c.Before == nil && c.Ref().Kind == "CustomResourceDefinition":
		kind, _, _ := unstructured.NestedString(c.After.Object, "spec", "names", "kind")
		group, _, _ := unstructured.NestedString(c.After.Object, "spec", "group")
		a[facts.Ref{Kind: kind, Namespace: group}] = true
	}
}

func (a ahead) needed(c fixes.Change) bool {
	kind := c.Object().GroupVersionKind()
	return c.Before == nil && (a[c.Ref()] || a[facts.Ref{Kind: "Namespace", Name: c.Ref().Namespace}] || a[facts.Ref{Kind: kind.Kind, Namespace: kind.Group}])
}

// Apply journals the plan, then writes it. The repair that it returns tells what was
// done, also beside an error: changes that were made before it are in the journal. An
// interrupt lets the write that is under way come to its end; then those that were made
// are taken back, and the error is ErrInterrupted. known, which may be nil, is kept for
// a verification by another process.
func (a *Applier) Apply(ctx context.Context, plan fixes.Plan, known *Known) (*Repair, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := a.newRepair(ctx, plan, known)
	if err != nil {
		return nil, err
	}
	if err := a.Journal.Write(ctx, r); err != nil {
		return nil, fmt.Errorf("writing the journal (nothing was changed): %w", err)
	}
	versions := make([]*string, len(plan.Changes))
	for i, c := range plan.Changes {
		versions[i] = guard(c.Before)
	}
	if err := a.forward(ctx, r, versions); err != nil {
		return r, err
	}
	return r, a.restart(ctx, r)
}

func (a *Applier) newRepair(ctx context.Context, plan fixes.Plan, known *Known) (*Repair, error) {
	f := plan.Finding
	r := &Repair{
		ID: newID(a.Now()), Time: a.Now().UTC(), Fix: plan.Fix.ID, Check: f.Check.ID, Subject: f.Subject, Version: a.Version,
		Message: f.Message, Evidence: f.Evidence, Places: f.Places, Known: known.Kept(),
		Server: a.Server, Context: a.Context, State: Pending, Rollouts: plan.Rollouts,
	}
	if a.Who != nil {
		r.Who = a.Who(ctx)
	}
	for _, p := range plan.Restarts {
		r.Restarts = append(r.Restarts, Restart{Namespace: p.Namespace, Name: p.Name, UID: types.UID(p.UID())})
	}
	for _, c := range plan.Changes {
		step, err := newStep(c)
		if err != nil {
			return nil, err
		}
		r.Steps = append(r.Steps, step)
	}
	return r, nil
}

// forward writes the steps that are not known to be written, each only over its version,
// and keeps the journal one write behind at most.
func (a *Applier) forward(ctx context.Context, r *Repair, versions []*string) error {
	for i := r.Done; i < len(r.Steps); i++ {
		if ctx.Err() != nil {
			return errors.Join(ErrInterrupted, a.abandon(ctx, r, i, "interrupted"))
		}
		if err := a.writeStep(ctx, &r.Steps[i], versions[i]); err != nil {
			failed := fmt.Errorf("changing %s: %w", r.Steps[i].Ref, err)
			if !refused(err) {
				return failed // it may have been written: the entry stays pending
			}
			return errors.Join(failed, a.abandon(ctx, r, i, failed.Error()))
		}
		r.Done = i + 1
		if r.Done == len(r.Steps) {
			break
		}
		if err := a.journal(ctx, r); err != nil {
			failed := fmt.Errorf("writing the journal: %w", err)
			return errors.Join(failed, a.abandon(ctx, r, r.Done, failed.Error()))
		}
	}
	r.State = Applied
	if err := a.journal(ctx, r); err != nil {
		return fmt.Errorf("the changes are made, but not the journal's entry: %w", err)
	}
	return nil
}

// writeStep writes one step, whatever becomes of the caller, and keeps what became of the
// object.
func (a *Applier) writeStep(ctx context.Context, s *Step, version *string) error {
	ctx, cancel := s.shielded(ctx)
	defer cancel()
	now, err := a.guarded(ctx, *s, version, "")
	for begin := time.Now(); s.Create != nil && meta.IsNoMatchError(err) && time.Since(begin) < learnKind && ctx.Err() == nil; {
		time.Sleep(pollEvery)
		now, err = a.guarded(ctx, *s, version, "")
	}
	if err == nil && now != nil && s.Create != nil {
		s.UID = now.GetUID()
	}
	if err == nil && now != nil {
		s.After = Bare(now)
	}
	return err
}

// guarded writes over the version that was shown, or asks what that would do. Where the
// object has another one by now but is still what was shown, its status apart, which a
// controller may write every second, the newer version is taken.
func (a *Applier) guarded(ctx context.Context, s Step, version *string, dryRun string) (*unstructured.Unstructured, error) {
	for left := retries; ; left-- {
		out, err := a.do(ctx, s, version, dryRun)
		was := s.before()
		if !errors.Is(err, ErrChanged) || left == 0 || version == nil || was == nil {
			return out, err
		}
		now, failed := a.get(ctx, s)
		if failed != nil || now == nil || now.GetUID() != s.UID || !equal(Bare(now), Bare(was)) {
			return nil, err
		}
		version = guard(now)
	}
}

// equal compares what objects say, not how they hold it.
func equal(a, b *unstructured.Unstructured) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && jsonpatch.Equal(x, y)
}

// shielded is that of the writes of a step.
func (s Step) shielded(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.onNode() {
		return context.WithTimeout(context.WithoutCancel(ctx), eachNode)
	}
	return shielded(ctx)
}

// shielded returns a context that an interrupt of the caller does not end.
func shielded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), eachWrite)
}

func (a *Applier) journal(ctx context.Context, r *Repair) error {
	ctx, cancel := shielded(ctx)
	defer cancel()
	return a.Journal.Write(ctx, r)
}

// Close records how a repair ended.
func (a *Applier) Close(ctx context.Context, r *Repair, state State, outcome string) error {
	r.State, r.Outcome = state, outcome
	return a.journal(ctx, r)
}

// refused tells whether the API server itself said no, so that nothing was written. A
// 5xx is no such answer: behind a time-out of etcd or of a proxy the write may stand.
func refused(err error) bool {
	var status apierrors.APIStatus
	return errors.Is(err, ErrChanged) || errors.Is(err, facts.ErrAsItWas) || errors.As(err, &status) && status.Status().Code < http.StatusInternalServerError
}

// abandon takes back the steps before the one that failed, or closes the entry where
// there were none.
func (a *Applier) abandon(ctx context.Context, r *Repair, done int, why string) error {
	r.Done, r.Outcome = done, why
	if done == 0 {
		r.State = NotApplied
		return a.journal(ctx, r)
	}
	r.State, r.Goal = TakingBack, RolledBack
	err := a.undo(context.WithoutCancel(ctx), r, RolledBack, false)
	if err != nil {
		return errors.Join(err, a.journal(ctx, r))
	}
	return nil
}

// guard returns the precondition of a write: the version that was shown.
func guard(before *unstructured.Unstructured) *string {
	if before == nil {
		return nil
	}
	version := before.GetResourceVersion()
	return &version
}
