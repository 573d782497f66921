package faults

import (
	"context"
	"errors"
	"strings"
)

// proxyMissing is a node that was started again since kube-proxy is kept off
// it. Chains of the kubelet's own stay, so that "no rule at all" is no sign.
func proxyMissing() *Fault {
	const id = "proxy-missing"
	return &Fault{
		ID: id, Title: "kube-proxy is kept off one node, and its rules are gone", Shell: true,
		Break: func(ctx context.Context, lab Lab) error {
			if err := keep(ctx, lab, id, proxySet()); err != nil {
				return err
			}
			elsewhere := object{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": []string{last(lab)}}
			affinity := object{"nodeAffinity": object{"requiredDuringSchedulingIgnoredDuringExecution": object{
				"nodeSelectorTerms": []object{{"matchExpressions": []object{elsewhere}}}}}}
			change := object{"spec": object{"template": object{"spec": object{"affinity": affinity}}}}
			if err := patch(ctx, lab, change, proxySet()...); err != nil {
				return err
			}
			return forgetRules(ctx, lab)
		},
		Again: forgetRules,
		Shown: func(ctx context.Context, lab Lab) error {
			ip, err := read(ctx, lab, "{.spec.clusterIP}", "-n", "default", "service", "kubernetes")
			if err != nil {
				return err
			}
			if err := connect(ctx, lab, last(lab), ip, "443"); err == nil {
				return errStillWorks
			}
			return nil
		},
		Mend: func(ctx context.Context, lab Lab) error { return restore(ctx, lab, id) },
		Root: "kube-proxy-missing", Fix: []string{"kube-proxy-missing"},
	}
}

// forgetRules takes the rules from the last node once its kube-proxy is gone, as a start of
// the machine does.
func forgetRules(ctx context.Context, lab Lab) error {
	if err := until(ctx, func() error { return noProxyOn(ctx, lab, last(lab)) }); err != nil {
		return err
	}
	_, err := sh(ctx, lab, last(lab), `for t in nat filter; do iptables-save -t $t | grep -v KUBE- | iptables-restore -T $t; done`)
	return err
}

func noProxyOn(ctx context.Context, lab Lab, node string) error {
	out, err := read(ctx, lab, "{.items[*].metadata.name}", "-n", system, "pods", "-l", proxyPods, onNode(node))
	if err == nil && strings.TrimSpace(out) != "" {
		err = errors.New("still there: " + out)
	}
	return err
}
