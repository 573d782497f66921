package faults

import (
	"context"
	"net/url"
)

// proxyKubeconfigRefused is a slip in the port. Where connections are refused
// kube-proxy tries again and again without a word.
func proxyKubeconfigRefused() *Fault {
	f := proxyFault("proxy-kubeconfig-refused", "kube-proxy's kubeconfig names a port where no API server listens", kubeconfigKey,
		otherServer(func(u *url.URL) { u.Host = u.Hostname() + ":16443" }))
	web := app{"wishlist", first}
	change := f.Break
	f.Prepare = func(ctx context.Context, lab Lab) error { return all(ctx, lab, web.prepare, client().prepare) }
	f.Break = func(ctx context.Context, lab Lab) error {
		return all(ctx, lab, web.prepare, client().prepare, web.ready, client().ready, change, web.recreate)
	}
	f.Shown = func(ctx context.Context, lab Lab) error {
		if err := web.ready(ctx, lab); err != nil {
			return err
		}
		return web.unreachable(ctx, lab)
	}
	f.Slow = true
	f.Again = func(ctx context.Context, lab Lab) error { return all(ctx, lab, restartProxy, web.recreate) }
	f.Root, f.Fix = "kube-proxy-kubeconfig", []string{"kube-proxy-kubeconfig"}
	return f
}
