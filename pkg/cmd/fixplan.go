package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// offer is the plan for a finding, or why there is none.
type offer struct {
	finding checks.Finding
	fix     *fixes.Fix
	plan    fixes.Plan
	err     error
}

// planFor makes the plan of the fix that --with names, or of the first that can be planned;
// where none can, the first says why.
func (o *fixCommand) planFor(ctx context.Context, look apply.Look, f checks.Finding) offer {
	var first *offer
	for _, fix := range fixes.For(f.Check) {
		if o.with != "" && fix.ID != o.with {
			continue
		}
		x := offer{finding: f, fix: fix}
		x.plan, x.err = o.plan(ctx, look.Snapshot, fix, f)
		if x.err == nil {
			return x
		}
		if first == nil {
			first = &x
		}
	}
	if first == nil {
		return offer{finding: f, fix: fixes.For(f.Check)[0], err: usage("--with %s: what cures %s is %s", o.with, f.Check.ID, fixNames(fixes.For(f.Check)))}
	}
	return *first
}

// plan makes the plan of one fix. An object that the snapshot keeps in part is read whole
// first, and a manifest of the catalogue once a plan wants it.
func (o *fixCommand) plan(ctx context.Context, s *facts.Snapshot, fix *fixes.Fix, f checks.Finding) (fixes.Plan, error) {
	if fix.OnNodes && slices.Contains([]string{"yaml", "patch", "kustomize"}, o.output) {
		return fixes.Plan{}, usage("-o %s: %s changes nodes, and no object of the cluster; --dry-run shows what", o.output, fix.ID)
	}
	var last facts.Ref
	for {
		plan, err := fixes.Offer(s, fix, f, o.params)
		var unread *fixes.NoManifestError
		if errors.As(err, &unread) && unread.Plugin.Install.Manifest.URL != "" {
			pinned := unread.Plugin.Install.Manifest
			if err := o.readManifest(ctx, pinned.URL, pinned); err != nil {
				return plan, err
			}
			continue
		}
		var setting *fixes.UnreadError
		if errors.As(err, &setting) && o.reads(setting.Setting) {
			if err := o.readSetting(ctx, setting.Setting); err != nil {
				return plan, err
			}
			continue
		}
		var part *fixes.InPartError
		if !errors.As(err, &part) || o.from != "" || part.Ref == last {
			return plan, err
		}
		if s, err = o.whole(ctx, s, part.Ref); err != nil {
			return plan, err
		}
		last = part.Ref
	}
}

// reads tells whether a setting that a plan must know can be had here: a pod reads it on its
// node, which neither a list of what could be repaired nor a dry run of the client's starts.
func (o *fixCommand) reads(s facts.Setting) bool {
	_, again := o.params.Settings[s.Key()]
	return !again && (o.output == "rbac" || o.from == "" && o.dryRun != "client" && !o.listing)
}

// readSetting reads a setting on its node. The rights of a plan are the same whatever it is.
func (o *fixCommand) readSetting(ctx context.Context, s facts.Setting) error {
	if o.params.Settings == nil {
		o.params.Settings = map[string]*string{}
	}
	if o.output == "rbac" {
		o.params.Settings[s.Key()] = nil
		return nil
	}
	e, err := o.repairer()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.within(facts.Host))
	defer cancel()
	value, err := e.Nodes.Value(ctx, s)
	if err != nil {
		return err
	}
	o.params.Settings[s.Key()] = value
	return nil
}

// whole returns a snapshot that has an object as the cluster has it.
func (o *fixCommand) whole(ctx context.Context, s *facts.Snapshot, r facts.Ref) (*facts.Snapshot, error) {
	e, err := o.engine()
	if err != nil {
		return nil, err
	}
	out := *s
	switch r.Kind {
	case "Deployment":
		var d *appsv1.Deployment
		if d, err = e.client.AppsV1().Deployments(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{}); err == nil {
			out.Deployments = replaced(s.Deployments, d)
		}
	case "StatefulSet":
		var set *appsv1.StatefulSet
		if set, err = e.client.AppsV1().StatefulSets(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{}); err == nil {
			out.StatefulSets = replaced(s.StatefulSets, set)
		}
	case "EndpointSlice":
		var es *discoveryv1.EndpointSlice
		if es, err = e.client.DiscoveryV1().EndpointSlices(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{}); err == nil {
			out.EndpointSlices = slices.Clone(s.EndpointSlices)
			for i, known := range out.EndpointSlices {
				if known.Ref() == r {
					now := *known
					now.Whole, out.EndpointSlices[i] = es, &now
				}
			}
		}
	default:
		return nil, &fixes.InPartError{Ref: r}
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s whole: %w", r, err)
	}
	return &out, nil
}

func replaced[T metav1.Object](list []T, by T) []T {
	out := make([]T, len(list))
	for i, o := range list {
		out[i] = o
		if o.GetNamespace() == by.GetNamespace() && o.GetName() == by.GetName() {
			out[i] = by
		}
	}
	return out
}
