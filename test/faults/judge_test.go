package faults

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
)

// judge tells whether the cluster is as the journal says. Without an error the entry must
// be in a state, which is that of the whole repair or of none of it.
func (tr *trial) judge(t *testing.T, err error, state apply.State) (*apply.Repair, error) {
	t.Helper()
	for _, key := range tr.touched(t) {
		if !tr.print[key] {
			return nil, fmt.Errorf("%s was written, which is not in the plan", key)
		}
	}
	entry, wrong := tr.entry(t)
	switch {
	case wrong != nil:
		return nil, wrong
	case err == nil && (entry == nil || entry.State != state):
		return nil, fmt.Errorf("there was no error, but the journal has %s", told(entry))
	case err == nil && state == apply.Applied:
		return entry, tr.applied(t, "there was no error")
	case err == nil:
		return entry, tr.is(t, tr.former, "there was no error")
	case entry == nil || !entry.Open():
		return entry, tr.is(t, tr.former, "the journal has "+told(entry))
	case entry.State == apply.Applied:
		return entry, tr.is(t, tr.after, "the journal has "+told(entry))
	}
	return entry, nil
}

// is tells how the objects differ from what is claimed.
func (tr *trial) is(t *testing.T, want objects, claim string) error {
	t.Helper()
	if diff := tr.differs(t, want); diff != "" {
		return fmt.Errorf("%s, but %s", claim, diff)
	}
	return nil
}

// entry returns the journal's only entry, nil where there is none.
func (tr *trial) entry(t *testing.T) (*apply.Repair, error) {
	t.Helper()
	all, err := tr.applier.Journal.List(t.Context())
	switch {
	case err != nil:
		return nil, fmt.Errorf("the journal: %w", err)
	case len(all) > 1:
		return nil, fmt.Errorf("the journal has %d entries of one repair", len(all))
	case len(all) == 0:
		return nil, nil
	}
	return all[0], nil
}

// ending brings a repair to an end of which a part stands.
type ending func(*trial, *testing.T, *apply.Repair) error

// undo takes back what is left of a repair.
func (tr *trial) undo(t *testing.T, entry *apply.Repair) error {
	t.Helper()
	if err := tr.applier.Undo(t.Context(), entry, false); err != nil {
		return fmt.Errorf("it cannot be undone: %w", err)
	}
	return tr.undone(t)
}

// undone tells whether nothing is left of a repair.
func (tr *trial) undone(t *testing.T) error {
	t.Helper()
	entry, err := tr.entry(t)
	if err != nil {
		return err
	}
	if entry == nil || entry.Open() {
		return fmt.Errorf("after the undo the journal has %s", told(entry))
	}
	return tr.is(t, tr.former, "it is undone")
}

// resume carries on what stopped half way, then undoes it.
func (tr *trial) resume(t *testing.T, entry *apply.Repair) error {
	t.Helper()
	back := entry.State == apply.TakingBack
	if err := tr.applier.Resume(t.Context(), entry); err != nil {
		return fmt.Errorf("it cannot be resumed: %w", err)
	}
	if err := tr.resumed(t, back); err != nil || back {
		return err
	}
	return tr.undo(t, entry)
}

// resumed tells whether a repair that was taken up again, or one that was being taken
// back, came to its end.
func (tr *trial) resumed(t *testing.T, back bool) error {
	t.Helper()
	entry, err := tr.entry(t)
	switch {
	case err != nil:
		return err
	case entry == nil || entry.Half() || back == entry.Open():
		return fmt.Errorf("once it is resumed the journal has %s", told(entry))
	case back:
		return tr.is(t, tr.former, "it is taken back")
	}
	return tr.applied(t, "it is resumed")
}

// applied tells what is lacking of the repair.
func (tr *trial) applied(t *testing.T, claim string) error {
	t.Helper()
	if err := tr.is(t, tr.after, claim); err != nil {
		return err
	}
	for _, p := range tr.plan.Restarts {
		now := tr.get(t, corev1.SchemeGroupVersion.WithKind("Pod"), p.Namespace, p.Name)
		if now != nil && string(now.GetUID()) == p.UID() && now.GetDeletionTimestamp() == nil {
			return fmt.Errorf("%s, but %s was not restarted", claim, p.Ref())
		}
	}
	return nil
}

func told(entry *apply.Repair) string {
	if entry == nil {
		return "no entry"
	}
	return fmt.Sprintf("an entry that is %s, %d of %d steps", entry.State, entry.Done, len(entry.Steps))
}

func said(err error) string {
	if err == nil {
		return "success"
	}
	return err.Error()
}
