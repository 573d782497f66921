package gather

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// pageSize is the limit of one list request. A page is served from the API server's
// watch cache where it keeps snapshots of it (on by default since Kubernetes 1.34).
const pageSize = 500

// readLists reads the API objects, all sources at once, and returns when all are read.
func (g *gatherer) readLists(ctx context.Context) {
	namespaces := []string{metav1.NamespaceAll}
	if g.opts.Namespace != "" {
		namespaces = append(facts.SystemNamespaces(), g.opts.Namespace)
		slices.Sort(namespaces)
		namespaces = slices.Compact(namespaces)
	}
	for _, src := range facts.Sources() {
		if src == facts.ConfigMaps || !src.Object() || !g.wanted(src) {
			continue
		}
		in := namespaces
		if !src.Namespaced {
			in = []string{metav1.NamespaceAll}
		}
		g.start(func() { g.readList(ctx, src, in) })
	}
	g.wg.Wait()
}

// readList reads one source whole, or records the gap: a list in part is never kept.
func (g *gatherer) readList(ctx context.Context, src *facts.Source, namespaces []string) {
	var all []runtime.Object
	var kept []any
	for _, ns := range namespaces {
		objects, compact, err := g.pages(ctx, src, ns)
		if err != nil {
			g.gap(src, "", reason(err))
			return
		}
		all, kept = append(all, objects...), append(kept, compact...)
	}
	g.progress("%s: %d", src.Name, len(kept))
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, obj := range all {
		if err := g.opts.Record.Record(src, obj); err != nil {
			g.b.Gap(src, "", err.Error())
			return
		}
	}
	for _, obj := range kept {
		if err := g.b.Add(obj); err != nil {
			g.b.Gap(src, "", err.Error())
			return
		}
	}
}

// pages reads a list page by page. A page token that expired (410 Gone) starts the list
// again, once, in one piece.
func (g *gatherer) pages(ctx context.Context, src *facts.Source, namespace string) ([]runtime.Object, []any, error) {
	objects, kept, err := g.listPages(ctx, src, namespace, pageSize)
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		objects, kept, err = g.listPages(ctx, src, namespace, 0)
	}
	return objects, kept, err
}

// listPages returns the objects in the form that the builder takes and, where a bundle
// is recorded, as they came.
func (g *gatherer) listPages(ctx context.Context, src *facts.Source, namespace string, limit int64) (objects []runtime.Object, kept []any, err error) {
	client, err := g.restClient(src)
	if err != nil {
		return nil, nil, err
	}
	opts := metav1.ListOptions{Limit: limit}
	for {
		list, err := client.Get().NamespaceIfScoped(namespace, namespace != metav1.NamespaceAll).Resource(src.Name).
			VersionedParams(&opts, scheme.ParameterCodec).Do(ctx).Get()
		if err != nil {
			return nil, nil, err
		}
		if !isListOf(src, list) {
			return nil, nil, fmt.Errorf("the server's answer is not a list of %s but a %T", src.Name, list)
		}
		err = meta.EachListItem(list, func(obj runtime.Object) error {
			if g.opts.Record != nil {
				objects = append(objects, obj.DeepCopyObject())
			}
			kept = append(kept, compact(obj))
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		page, err := meta.ListAccessor(list)
		if err != nil {
			return nil, nil, err
		}
		if opts.Continue = page.GetContinue(); opts.Continue == "" {
			return objects, kept, nil
		}
	}
}

// isListOf tells whether an answer is what was asked for. Result.Into would leave the
// list empty and return no error where another object came instead.
func isListOf(src *facts.Source, answer runtime.Object) bool {
	want, err := scheme.Scheme.New(schema.GroupVersionKind{Group: src.Group, Version: src.Version, Kind: src.Kind + "List"})
	return err == nil && reflect.TypeOf(answer) == reflect.TypeOf(want)
}

// compact trims pods as they arrive; everything else is kept as it is.
func compact(obj runtime.Object) any {
	if pod, ok := obj.(*corev1.Pod); ok {
		return facts.Compact(pod)
	}
	return obj
}

func (g *gatherer) restClient(src *facts.Source) (rest.Interface, error) {
	switch src.Group {
	case "":
		return g.client.CoreV1().RESTClient(), nil
	case "apps":
		return g.client.AppsV1().RESTClient(), nil
	case "discovery.k8s.io":
		return g.client.DiscoveryV1().RESTClient(), nil
	case "rbac.authorization.k8s.io":
		return g.client.RbacV1().RESTClient(), nil
	}
	return nil, fmt.Errorf("no client for API group %s", src.Group)
}
