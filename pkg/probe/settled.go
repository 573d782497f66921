package probe

import (
	"context"
	"fmt"
	"maps"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// markChanged reads the EndpointSlices once more, after the nodes: rules of Services whose
// endpoints changed in between say nothing about kube-proxy. Where they cannot be read
// again, no rule that differs does.
func (r *run) markChanged(ctx context.Context) {
	if r.s.Missing(facts.EndpointSlices) != "" {
		return
	}
	service, before, namespaces := map[string]facts.Ref{}, map[string]string{}, map[string]bool{r.s.Scope: true}
	for _, slice := range r.s.EndpointSlices {
		key := slice.Namespace + "/" + slice.Name
		service[key] = facts.Ref{Kind: "Service", Namespace: slice.Namespace, Name: slice.Service}
		for i := range slice.Endpoints {
			before[key] += endpointText(slice.Endpoints[i].Address, slice.Endpoints[i].Ready)
		}
		if r.s.Scope != "" {
			namespaces[slice.Namespace] = true
		}
	}
	after := map[string]string{}
	err := r.eachSlice(ctx, slices.Sorted(maps.Keys(namespaces)), func(slice *discoveryv1.EndpointSlice) {
		key := slice.Namespace + "/" + slice.Name
		after[key] = ""
		service[key] = facts.Ref{Kind: "Service", Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}
		for _, e := range slice.Endpoints {
			if len(e.Addresses) > 0 {
				after[key] += endpointText(e.Addresses[0], e.Conditions.Ready == nil || *e.Conditions.Ready)
			}
		}
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.b.Gap(facts.Files, host.ChangedAny, "whether their endpoints changed while the nodes were looked at is not known: "+reason(err))
		return
	}
	for key, svc := range service {
		then, was := before[key]
		if now, there := after[key]; now != then || was && !there {
			r.b.Gap(facts.Files, host.Changed(svc), "its endpoints changed while the nodes were looked at")
		}
	}
}

// eachSlice reads the EndpointSlices of some namespaces, "" for all, but for the doctor's own.
func (r *run) eachSlice(ctx context.Context, namespaces []string, each func(*discoveryv1.EndpointSlice)) error {
	for _, namespace := range namespaces {
		list := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return r.client.DiscoveryV1().EndpointSlices(namespace).List(ctx, o)
		})
		err := list.EachListItem(ctx, metav1.ListOptions{}, func(o runtime.Object) error {
			if slice, ok := o.(*discoveryv1.EndpointSlice); ok && slice.Namespace != Namespace {
				each(slice)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func endpointText(address string, ready bool) string { return fmt.Sprintf("%s %t;", address, ready) }
