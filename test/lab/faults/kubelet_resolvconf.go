package faults

import "context"

// kubeletResolvConf names the file of systemd-resolved on a node that does not
// run it. The kubelet reads it for every pod, so none starts.
func kubeletResolvConf() *Fault {
	const wrong = "/run/systemd/resolve/resolv.conf"
	tickets := app{"tickets", last}
	return &Fault{
		ID: "kubelet-resolvconf", Title: "one kubelet's resolvConf names a file that does not exist", Shell: true,
		Prepare: tickets.prepare,
		Break: func(ctx context.Context, lab Lab) error {
			if err := all(ctx, lab, tickets.prepare, tickets.ready, tickets.pause); err != nil {
				return err
			}
			if err := configureKubelet(ctx, lab, last(lab), "resolvConf", wrong); err != nil {
				return err
			}
			err := until(ctx, func() error { return configz(ctx, lab, last(lab), `"resolvConf":"`+wrong+`"`) })
			if err != nil {
				return err
			}
			return tickets.resume(ctx, lab)
		},
		Shown: tickets.stuck(wrong + ": no such file"),
		Mend: func(ctx context.Context, lab Lab) error {
			if err := mendKubelet(ctx, lab, last(lab)); err != nil {
				return err
			}
			return tickets.recreate(ctx, lab)
		},
		Root: "kubelet-resolvconf-missing",
	}
}
