package faults

import (
	"context"
	"errors"
	"slices"
)

// proxyHostname replaces the name that the DaemonSet takes from the pod's own
// node. The file's hostnameOverride would be of no use: the flag wins.
func proxyHostname() *Fault {
	const id = "proxy-hostname"
	return &Fault{
		ID: id, Slow: true, Title: "kube-proxy goes by the name of a node that does not exist",
		Break: func(ctx context.Context, lab Lab) error {
			if err := keep(ctx, lab, id, proxySet()); err != nil {
				return err
			}
			command, err := proxyCommand(ctx, lab)
			if err != nil {
				return err
			}
			i := slices.Index(command, any("--hostname-override=$(NODE_NAME)"))
			if i < 0 {
				return errors.New("kube-proxy is not told its node's name by a flag")
			}
			command[i] = "--hostname-override=worker-7"
			container := object{"name": "kube-proxy", "command": command}
			change := object{"spec": object{"template": object{"spec": object{"containers": []object{container}}}}}
			if err := patchAs(ctx, lab, "strategic", change, proxySet()...); err != nil {
				return err
			}
			return restartProxy(ctx, lab) // all at once, which the rollout would not do
		},
		Shown: ofSystem(logged, proxyPods, "worker-7"),
		Mend:  mendProxy(id),
		Again: restartProxy,
		Root:  "kube-proxy-hostname", Fix: []string{"kube-proxy-hostname"},
	}
}

func proxyCommand(ctx context.Context, lab Lab) ([]any, error) {
	set, err := get(ctx, lab, proxySet()...)
	if err != nil {
		return nil, err
	}
	for _, field := range []string{"spec", "template", "spec"} {
		set, _ = set[field].(object)
	}
	containers, _ := set["containers"].([]any)
	if len(containers) == 0 {
		return nil, errors.New("kube-proxy's DaemonSet has no container")
	}
	container, _ := containers[0].(object)
	command, _ := container["command"].([]any)
	return command, nil
}
