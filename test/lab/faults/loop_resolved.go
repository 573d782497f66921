package faults

import (
	"context"
	"errors"
)

// resolvedFile is where systemd-resolved keeps the servers that its stub asks.
const resolvedFile = "/run/systemd/resolve/resolv.conf"

// allowNodes lets a fix change nodes.
const allowNodes = "--allow-node-changes"

// loopResolved is loopResolvConf on nodes where systemd-resolved keeps its
// servers in a file, which is what a kubelet should be told.
func loopResolved() *Fault {
	f := loopResolvConf()
	stub, unstub := f.Break, f.Mend
	f.ID, f.Title = "loop-resolved", "CoreDNS forwards to systemd-resolved's stub, whose servers are in a file of /run"
	f.Fix = []string{f.Root, "--with", "kubelet-resolvconf", allowNodes}
	f.Break = func(ctx context.Context, lab Lab) error {
		err := each(ctx, lab, func(ctx context.Context, lab Lab, node string) error {
			_, err := sh(ctx, lab, node, `mkdir -p "$(dirname "$1")" && echo "nameserver $2" > "$1"`, resolvedFile, Upstream)
			return err
		})
		return errors.Join(err, stub(ctx, lab))
	}
	f.Mend = func(ctx context.Context, lab Lab) error {
		err := each(ctx, lab, forgetResolved)
		return errors.Join(err, unstub(ctx, lab))
	}
	return f
}

// forgetResolved also gives a kubelet its own file back which a repair has
// given another one.
func forgetResolved(ctx context.Context, lab Lab, node string) error {
	config, err := kubeletConfig(ctx, lab, node)
	if err != nil {
		return err
	}
	out, err := sh(ctx, lab, node, `rm -f "$2"; grep -q "^resolvConf: $2" "$1" || exit 0
sed -i "s#^resolvConf: .*#resolvConf: /etc/resolv.conf#" "$1"; echo changed`, config, resolvedFile)
	if err != nil || out == "" {
		return err
	}
	return lab.Service(ctx, node, "kubelet", "restart")
}
