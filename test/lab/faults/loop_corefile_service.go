package faults

import (
	"context"
	"errors"
)

// loopCorefileService closes a loop that CoreDNS does not notice: while it looks
// for one it is no endpoint yet, so that its question is refused, which it takes
// for an answer. The pods are Ready, and every name outside circles until
// somebody gives up.
func loopCorefileService() *Fault {
	const id = "loop-corefile-service"
	f := corefileFault(id, "the Corefile forwards to the address of the DNS Service", nil)
	f.Slow = true
	f.Prepare = client().prepare
	f.Break = func(ctx context.Context, lab Lab) error {
		if err := all(ctx, lab, client().prepare, client().ready); err != nil {
			return err
		}
		ip, err := read(ctx, lab, "{.spec.clusterIP}", dnsService()...)
		if err != nil {
			return err
		}
		if err := editCorefile(ctx, lab, id, forwardTo(ip)); err != nil {
			return err
		}
		return restartDNS(ctx, lab)
	}
	f.Shown = func(ctx context.Context, lab Lab) error {
		if err := endpoints(ctx, lab, system, "kube-dns", true); err != nil {
			return err
		}
		if err := client().resolve(ctx, lab, "kubernetes.default"); err != nil {
			return err
		}
		if client().resolve(ctx, lab, Outside(lab)) == nil {
			return errors.New("names outside the cluster resolve")
		}
		return nil
	}
	f.Again = restartDNS
	f.Root, f.Fix = "coredns-upstream-self", upstreamFix("coredns-upstream-self")
	return f
}
