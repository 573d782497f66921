package faults

import (
	"context"
	"errors"
)

// corednsOOM gives CoreDNS less memory than its own heap needs. With a little
// more it would not be killed: the kernel takes the pages of its program away
// again and again, and it stands still.
func corednsOOM() *Fault {
	const id = "coredns-oom"
	killed := ofSystem(podsSay, dnsPods, `"reason":"OOMKilled"`)
	return &Fault{
		ID: id, Title: "CoreDNS is killed for want of memory",
		Break: func(ctx context.Context, lab Lab) error {
			return changeDNSPods(ctx, lab, id,
				object{"resources": object{"limits": object{"memory": "5Mi"}, "requests": object{"memory": "5Mi"}}}, nil)
		},
		Shown: func(ctx context.Context, lab Lab) error {
			if err := cacheDNSProgram(ctx, lab); err != nil {
				return err
			}
			return killed(ctx, lab)
		},
		Mend:  mendDNSPods(id),
		Again: restartDNS,
		Root:  "coredns-oom", Fix: []string{"coredns-oom"},
	}
}

// cacheDNSProgram reads the program of every CoreDNS that runs from outside its
// container. A page of a file counts for the cgroup that read it first; where a
// node has dropped the program from its cache, CoreDNS spends its limit on those
// pages, stands still before its heap has grown, and is never killed.
func cacheDNSProgram(ctx context.Context, lab Lab) error {
	for _, node := range lab.Nodes() {
		_, err := sh(ctx, lab, node, `for exe in /proc/[0-9]*/exe; do
	case "$(readlink "$exe" || true)" in
	*/coredns) cat "$exe" > /dev/null || true;; # it may have ended
	esac
done`)
		if errors.Is(err, ErrNoShell) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
