package probe

import (
	"context"
	"fmt"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// markChanged reads the EndpointSlices once more, after the nodes: rules of Services whose
// endpoints changed in between say nothing about kube-proxy. Where they cannot be read
// again, no rule says anything.
func (r *run) markChanged(ctx context.Context) {
	if r.s.Missing(facts.EndpointSlices) != "" {
		return
	}
	before := map[string]string{}
	service := map[string]facts.Ref{}
	for _, slice := range r.s.EndpointSlices {
		key := slice.Namespace + "/" + slice.Name
		service[key] = facts.Ref{Kind: "Service", Namespace: slice.Namespace, Name: slice.Service}
		for i := range slice.Endpoints {
			before[key] += endpointText(slice.Endpoints[i].Address, slice.Endpoints[i].Ready)
		}
	}
	after := map[string]string{}
	list := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		return r.client.DiscoveryV1().EndpointSlices(r.s.Scope).List(ctx, o)
	})
	err := list.EachListItem(ctx, metav1.ListOptions{}, func(o runtime.Object) error {
		slice, ok := o.(*discoveryv1.EndpointSlice)
		if !ok {
			return nil
		}
		key := slice.Namespace + "/" + slice.Name
		after[key] = ""
		service[key] = facts.Ref{Kind: "Service", Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}
		for _, e := range slice.Endpoints {
			if len(e.Addresses) > 0 {
				after[key] += endpointText(e.Addresses[0], e.Conditions.Ready == nil || *e.Conditions.Ready)
			}
		}
		return nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, svc := range service {
		now, there := after[key]
		switch then, was := before[key]; {
		case err != nil:
			r.b.Gap(facts.Files, host.Changed(svc), "whether its endpoints changed meanwhile is not known: "+reason(err))
		case now != then || !there && was:
			r.b.Gap(facts.Files, host.Changed(svc), "its endpoints changed while the nodes were looked at")
		}
	}
}

func endpointText(address string, ready bool) string { return fmt.Sprintf("%s %t;", address, ready) }
