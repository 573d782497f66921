package faults

import (
	"context"
	"strings"
)

// proxyRuleLost is a kube-proxy that hangs on a node where something took a rule away: its
// pod is Ready, and one Service is dead from there.
func proxyRuleLost() *Fault {
	ledger := app{"ledger", first}
	signal := func(name string) func(context.Context, Lab) error {
		return func(ctx context.Context, lab Lab) error {
			_, err := sh(ctx, lab, last(lab), `for p in /proc/[0-9]*; do
	exe=$(tr '\0' '\n' < $p/cmdline 2>/dev/null | head -1) || continue
	case "$exe" in kube-proxy|*/kube-proxy) kill -"$1" "${p#/proc/}";; esac
done`, name)
			return err
		}
	}
	return &Fault{
		ID: "proxy-rule-lost", Title: "kube-proxy hangs on one node, and a rule of one Service is gone there", Shell: true,
		Depth: "host", Deep: "kube-proxy-rules-missing",
		Prepare: ledger.prepare,
		Break: func(ctx context.Context, lab Lab) error {
			if err := all(ctx, lab, ledger.prepare, ledger.ready, signal("STOP")); err != nil {
				return err
			}
			ip, err := read(ctx, lab, "{.spec.clusterIP}", ledger.service()...)
			if err != nil {
				return err
			}
			_, err = sh(ctx, lab, last(lab), `iptables-save -t nat | grep -- "-A KUBE-SERVICES -d $1/32" | sed 's/^-A/-D/' | while read -r rule; do
	eval "iptables -t nat $rule"
done`, strings.TrimSpace(ip))
			return err
		},
		Shown: func(ctx context.Context, lab Lab) error {
			ip, err := read(ctx, lab, "{.spec.clusterIP}", ledger.service()...)
			if err != nil {
				return err
			}
			if err := connect(ctx, lab, last(lab), ip, "80"); err == nil {
				return errStillWorks
			}
			return nil
		},
		Mend: func(ctx context.Context, lab Lab) error {
			if err := signal("CONT")(ctx, lab); err != nil {
				return err
			}
			return recreate(ctx, lab, system, proxyPods, onNode(last(lab)))
		},
	}
}
