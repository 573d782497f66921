package faults

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/test/plane"
)

// objects are those that a plan changes; nil where there is none.
type objects map[facts.Ref]*unstructured.Unstructured

// trial is one fix in a cluster where it is offered.
type trial struct {
	*cluster
	fix    *fixes.Fix
	state  state
	plan   fixes.Plan
	start  plane.State
	former objects // before the repair
	after  objects // after it
	keyOf  map[facts.Ref]string
	print  map[string]bool // the keys that the repair touches
	left   []half          // the ways in which it is left half done
	seen   []string        // the writes of the last run with a fault
}

// newTrial puts a state into the cluster and plans from what the API server tells of it.
func (c *cluster) newTrial(t *testing.T, fix *fixes.Fix, o offer) (*trial, error) {
	t.Helper()
	c.keys = c.store.Reset(t, c.bare, c.keys, volatile...)
	today, now := o.today(t)
	raw := reachable(t, today.objects(t))
	c.store.Load(t, raw, now)
	c.mapper.Reset()
	live := c.live(t, raw)
	s := today.with(live)
	p := planFor(fix, s, &o.plan.Finding.Subject)
	if p.err != nil {
		return nil, fmt.Errorf("offered for the fixture, but not for what the API server makes of it: %w", p.err)
	}
	if len(p.plan.Changes)+len(p.plan.Restarts) == 0 {
		return nil, errors.New("it changes nothing")
	}
	c.nodes.Play(today.files)
	tr := &trial{cluster: c, fix: fix, state: today, plan: p.plan}
	c.settings = settingsOf(t, p.plan)
	c.proxy.Settings.Reset(c.settings)
	c.keys = c.store.Keys(t)
	tr.start = c.store.Everything(t)
	tr.former = tr.objects(t)
	tr.keyOf = map[facts.Ref]string{}
	for ref, o := range tr.former {
		if o != nil {
			tr.keyOf[ref] = c.key(ref, o.GetResourceVersion())
		}
	}
	if _, err := c.applier.Preview(t.Context(), tr.fresh()); err != nil {
		return nil, err
	}
	return tr, nil
}

// objects reads what the plan changes.
func (tr *trial) objects(t *testing.T) objects {
	t.Helper()
	out := objects{}
	for _, c := range tr.plan.Changes {
		o := c.Object()
		out[c.Ref()] = tr.get(t, o.GroupVersionKind(), o.GetNamespace(), o.GetName())
	}
	return out
}

// reset makes the cluster what it was, and forgets the journal.
func (tr *trial) reset(t *testing.T) {
	t.Helper()
	tr.keys = tr.store.Reset(t, tr.start, tr.keys, volatile...)
	tr.proxy.Settings.Reset(tr.settings)
	if err := os.RemoveAll(tr.dir); err != nil {
		t.Fatal(err)
	}
}

// fresh returns the plan as it would be made from the objects that are there now.
func (tr *trial) fresh() fixes.Plan {
	plan := tr.plan
	plan.Changes = slices.Clone(plan.Changes)
	for i, c := range plan.Changes {
		if c.Before == nil {
			continue
		}
		version := tr.keys[tr.keyOf[c.Ref()]]
		plan.Changes[i].Before = c.Before.DeepCopy()
		plan.Changes[i].Before.SetResourceVersion(version)
		if c.After != nil && c.After.GetResourceVersion() != "" {
			plan.Changes[i].After = c.After.DeepCopy()
			plan.Changes[i].After.SetResourceVersion(version)
		}
	}
	return plan
}

// touched returns the keys that were written since the last reset, the journal's apart.
func (tr *trial) touched(t *testing.T) []string {
	t.Helper()
	now := tr.store.Keys(t)
	changed := map[string]bool{}
	for key, revision := range now {
		changed[key] = tr.keys[key] != revision
	}
	for key := range tr.keys {
		if _, there := now[key]; !there {
			changed[key] = true
		}
	}
	maps.DeleteFunc(changed, func(_ string, is bool) bool { return !is })
	var out []string
	for key := range changed {
		apart := strings.HasPrefix(key, "/registry/configmaps/kube-system/"+journalPrefix) || strings.HasPrefix(key, derived) ||
			slices.ContainsFunc(volatile, func(folder string) bool { return strings.HasPrefix(key, folder) })
		if !apart {
			out = append(out, key)
		}
	}
	for _, key := range tr.proxy.Settings.Written() {
		out = append(out, settingsPath+"/"+key)
	}
	slices.Sort(out)
	return out
}

// differs tells how the objects differ from what they should be, "" where they do not.
func (tr *trial) differs(t *testing.T, want objects) string {
	t.Helper()
	got := tr.objects(t)
	for ref, w := range want {
		g := got[ref]
		if (w == nil) != (g == nil) {
			return fmt.Sprintf("%s: there: %t, want %t", ref, g != nil, w != nil)
		}
		if w == nil {
			continue
		}
		anew := w.GetUID() != g.GetUID()
		if a, b := own(w, anew), own(g, anew); !reflect.DeepEqual(a, b) {
			return fmt.Sprintf("%s (-want +got):\n%s", ref, cmp.Diff(a, b))
		}
	}
	return ""
}

// own is of an object what the server does not set; of one that was made anew its status
// is not either.
func own(o *unstructured.Unstructured, anew bool) map[string]any {
	o = o.DeepCopy()
	fields := []string{"resourceVersion", "generation", "managedFields"}
	if anew {
		fields = append(fields, "uid", "creationTimestamp")
		unstructured.RemoveNestedField(o.Object, "status")
	}
	for _, field := range fields {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(o.Object, "metadata", "annotations", "deprecated.daemonset.template.generation")
	return o.Object
}
