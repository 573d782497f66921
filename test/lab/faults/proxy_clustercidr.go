package faults

import (
	"context"
	"errors"
	"strings"
)

// proxyClusterCIDR makes kube-proxy take the pods for strangers: it masquerades
// what they send to Services. Everything works, and nobody sees who asked.
func proxyClusterCIDR() *Fault {
	const wrong = "10.200.0.0/16"
	f := proxyFault("proxy-clustercidr", "kube-proxy's clusterCIDR is not the pods' range", proxyConfigKey, setProxy("clusterCIDR", wrong))
	f.Root, f.Fix, f.Again = "kube-proxy-cluster-cidr", []string{"kube-proxy-cluster-cidr"}, restartProxy
	f.Shown = func(ctx context.Context, lab Lab) error {
		config, err := read(ctx, lab, `{.data.config\.conf}`, proxyConfig()...)
		if err == nil && !strings.Contains(config, wrong) {
			err = errors.New("the configuration has another range")
		}
		if err != nil {
			return err
		}
		return each(ctx, lab, func(ctx context.Context, lab Lab, node string) error {
			rules, err := lab.Exec(ctx, node, "iptables-save", "-t", "nat")
			if errors.Is(err, ErrNoShell) {
				return nil // from outside no more is to be seen
			}
			if err == nil && !strings.Contains(rules, wrong) {
				err = errors.New("node " + node + " has no rule for " + wrong)
			}
			return err
		})
	}
	return f
}

// proxyFault is one that is made by an edit of a file in kube-proxy's
// ConfigMap.
func proxyFault(id, title, key string, edit func(string) (string, error)) *Fault {
	return &Fault{
		ID: id, Title: title,
		Break: func(ctx context.Context, lab Lab) error { return editProxy(ctx, lab, id, key, edit) },
		Mend:  mendProxy(id),
	}
}
