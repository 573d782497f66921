package gather

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// readLists reads the API objects, all sources at once, and returns when all are read.
// Where the system namespaces turn out not to hold what their part was read for, the
// whole source is.
func (g *gatherer) readLists(ctx context.Context) *facts.Snapshot {
	var parts []*facts.Source
	for _, src := range facts.Sources() {
		if src == facts.ConfigMaps || !src.Object() || !g.wanted(src) {
			continue
		}
		namespaces, part := g.namespaces(src)
		if part != nil {
			parts = append(parts, part)
		}
		g.start(func() { g.readList(ctx, src, namespaces, part) })
	}
	g.wg.Wait()
	s := g.b.Interim()
	if len(parts) == 0 || s.Missing(facts.SystemPods) != "" || s.PartsSuffice() {
		return s
	}
	for _, part := range parts {
		if s.Missing(part) == "" {
			g.b.Forget(part)
			g.start(func() { g.readList(ctx, part.Whole, []string{metav1.NamespaceAll}, nil) })
		}
	}
	g.wg.Wait()
	return g.b.Interim()
}

// readList reads one source in these namespaces, which may be its part only, or records
// the gap: a list that breaks off is never kept.
func (g *gatherer) readList(ctx context.Context, src *facts.Source, namespaces []string, part *facts.Source) {
	var all []*received
	objects := 0
	for _, ns := range namespaces {
		got, err := g.fetch(ctx, src, ns)
		if err != nil {
			g.gap(src, "", Reason(err))
			return
		}
		all = append(all, got)
		objects += got.Objects
	}
	g.progress("%s: %d", src.Name, objects)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, got := range all {
		g.b.Merge(got.batch)
		if err := g.opts.Record.Merge(got.record); err != nil {
			g.b.Gap(src, "", err.Error())
		}
	}
	if part != nil {
		g.b.SystemOnly(part)
	}
}

// namespaces says where a source is read: everywhere, or in certain namespaces. Where
// these are the network stack's own alone, part is what was asked for.
func (g *gatherer) namespaces(src *facts.Source) (names []string, part *facts.Source) {
	if !src.Namespaced {
		return []string{metav1.NamespaceAll}, nil
	}
	whole := slices.Contains(g.opts.Sources, src)
	switch {
	case !whole:
		i := slices.IndexFunc(g.opts.Sources, func(s *facts.Source) bool { return s.Whole == src })
		return facts.PartNamespaces(g.opts.Sources[i]), g.opts.Sources[i]
	case g.opts.Namespace != "":
		names = append(facts.SystemNamespaces(), g.opts.Namespace)
		slices.Sort(names)
		return slices.Compact(names), nil
	}
	return []string{metav1.NamespaceAll}, nil
}
