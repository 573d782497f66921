package faults

import (
	"context"
	"errors"
	"strings"
)

// loopResolvConf is what systemd-resolved does to nodes whose kubelet was not
// told: the stub's address inside a pod is the pod itself.
func loopResolvConf() *Fault {
	const id = "loop-resolvconf"
	return &Fault{
		ID: id, Slow: true, Title: "CoreDNS forwards to 127.0.0.53 of the nodes' resolv.conf", Shell: true,
		Break: func(ctx context.Context, lab Lab) error {
			err := each(ctx, lab, func(ctx context.Context, lab Lab, node string) error {
				path, err := resolvConf(ctx, lab, node)
				if err != nil {
					return err
				}
				return overwrite(ctx, lab, node, path, "nameserver 127.0.0.53\noptions edns0 trust-ad\n")
			})
			if err != nil {
				return err
			}
			// What a repair will change is kept as well, in case it is not taken back.
			return all(ctx, lab, keepCorefile(id), restartDNS)
		},
		Shown: crashesWith(loopWords),
		Mend: func(ctx context.Context, lab Lab) error {
			err := each(ctx, lab, func(ctx context.Context, lab Lab, node string) error {
				path, err := resolvConf(ctx, lab, node)
				return errors.Join(err, putBack(ctx, lab, node, path))
			})
			return errors.Join(err, mendDNS(id)(ctx, lab))
		},
		Again: restartDNS,
		Root:  "coredns-loop", Fix: upstreamFix("coredns-loop"),
	}
}

// loopWords are the last ones of a CoreDNS that asks itself.
const loopWords = "plugin/loop: Loop ("

// Upstream is the DNS server outside the cluster that the lab has.
const Upstream = "10.77.0.53"

// upstreamFix cures a check by letting CoreDNS forward to that server.
func upstreamFix(check string) []string { return []string{check, "--upstream", Upstream} }

func keepCorefile(id string) func(context.Context, Lab) error {
	return func(ctx context.Context, lab Lab) error { return keep(ctx, lab, id, dnsConfig()) }
}

// resolvConf returns the file whose nameservers a kubelet hands to pods with
// dnsPolicy Default.
func resolvConf(ctx context.Context, lab Lab, node string) (string, error) {
	config, err := kubeletConfig(ctx, lab, node)
	if err != nil {
		return "", err
	}
	out, err := sh(ctx, lab, node, `sed -n 's/^resolvConf: *//p' "$1"`, config)
	if err != nil {
		return "", err
	}
	if path := strings.Trim(strings.TrimSpace(out), `"'`); path != "" {
		return path, nil
	}
	return "/etc/resolv.conf", nil
}
