// Package fixes knows which repairs cure which findings. A fix proposes: it turns a
// finding and the facts into a plan of changes, each an object before and after. It
// has no client and cannot write; package apply does.
package fixes

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Fix is a documented repair.
type Fix struct {
	ID, Title, Doc string
	For            []*checks.Check // whose findings it cures

	// Cost says what the repair takes away, such as security. A fix that has one is
	// planned only with Params.AcceptRisk.
	Cost string

	// Settle is how long to watch, once the rollout is done, before judging whether the
	// fault is gone.
	Settle time.Duration

	// Plan says what to change, or why this cluster or these parameters do not allow
	// it. It must not change the snapshot.
	Plan func(*facts.Snapshot, checks.Finding, Params) (Plan, error)
}

// Params are what the user passes to a fix.
type Params struct {
	Upstreams  []string // DNS servers, as IP or IP:port
	AcceptRisk bool
}

// Plan is what a fix would do.
type Plan struct {
	Fix      *Fix
	Finding  checks.Finding
	Changes  []Change
	Restarts []*facts.Pod // deleted after the changes, so that they start again at once
	Rollouts []facts.Ref  // whose rollout is awaited
	Warnings []string     // what the changes do not cure, or bring about
	Manual   []string     // what only a person can do, with the values filled in
	Owner    *Owner       // who would take the changes back; nil where nobody is known
}

// Change is an object before and after. Nil says that it does not exist.
type Change struct {
	Before, After *unstructured.Unstructured
}

// Inverse returns the change that takes this one back.
func (c Change) Inverse() Change { return Change{Before: c.After, After: c.Before} }

// Object returns the side that exists, After where both do.
func (c Change) Object() *unstructured.Unstructured {
	if c.After != nil {
		return c.After
	}
	return c.Before
}

// Ref names the object of the change.
func (c Change) Ref() facts.Ref {
	o := c.Object()
	return facts.Ref{Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// All lists every fix.
func All() []*Fix { return []*Fix{CorefileForward, AllowPrivilegeEscalation} }

// For returns the fixes that cure findings of a check, the preferred one first.
func For(c *checks.Check) []*Fix {
	var out []*Fix
	for _, f := range All() {
		if slices.Contains(f.For, c) {
			out = append(out, f)
		}
	}
	return out
}

// Offer makes the plan of one fix for one finding.
func Offer(s *facts.Snapshot, fix *Fix, finding checks.Finding, params Params) (Plan, error) {
	if !slices.Contains(fix.For, finding.Check) {
		return Plan{}, fmt.Errorf("%s does not cure %s", fix.ID, finding.Check.ID)
	}
	if fix.Cost != "" && !params.AcceptRisk {
		return Plan{}, fmt.Errorf("%s: %s Repeat with --accept-risk to go on", fix.ID, fix.Cost)
	}
	plan, err := fix.Plan(s, finding, params)
	if err != nil {
		return Plan{}, err
	}
	plan.Fix, plan.Finding = fix, finding
	for _, c := range plan.Changes {
		owner := ownerOf(s, c.Object())
		if owner != nil && (plan.Owner == nil || owner.Reverts && !plan.Owner.Reverts) {
			plan.Owner = owner
		}
	}
	return plan, nil
}

// object turns an API object of the snapshot into the form that changes have.
func object(kind, apiVersion string, obj metav1.Object) (*unstructured.Unstructured, error) {
	if facts.InPart(obj) {
		return nil, fmt.Errorf("%s %s/%s was read in part only and cannot be written", kind, obj.GetNamespace(), obj.GetName())
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, fmt.Errorf("converting %s: %w", kind, err)
	}
	u := &unstructured.Unstructured{Object: fields}
	u.SetKind(kind)
	u.SetAPIVersion(apiVersion)
	return u, nil
}

// podsOf returns the pods in which a finding shows.
func podsOf(s *facts.Snapshot, f checks.Finding) []*facts.Pod {
	var out []*facts.Pod
	for _, r := range append([]facts.Ref{f.Subject}, f.Places...) {
		if p := s.Pod(r.Namespace, r.Name); r.Kind == "Pod" && p != nil && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// crashing returns those pods of the finding's subject and places that crash. One in
// which the fault shows may run at this moment, between two crashes.
func crashing(s *facts.Snapshot, f checks.Finding) []*facts.Pod {
	var out []*facts.Pod
	for _, p := range s.Pods {
		shows := slices.Contains(f.Places, p.Ref()) || p.Ref() == f.Subject
		crashes := p.Crashing() != nil && (shows || p.Owner == f.Subject) || shows && crashedLast(p)
		if crashes && !p.Static && p.Owner.Kind != "" {
			out = append(out, p)
		}
	}
	return out
}

func crashedLast(p *facts.Pod) bool {
	return slices.ContainsFunc(p.Containers, func(c facts.Container) bool { return c.Last().Phase == facts.Terminated && c.Last().ExitCode != 0 })
}
