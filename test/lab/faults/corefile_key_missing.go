package faults

import (
	"context"
	"strings"
)

// corefileKeyMissing is a ConfigMap that was made anew from a file of another
// name, as "kubectl create configmap --from-file" does.
func corefileKeyMissing() *Fault {
	const id = "corefile-key-missing"
	return &Fault{
		ID: id, Slow: true, Title: "the ConfigMap of CoreDNS has its Corefile under another key",
		Break: func(ctx context.Context, lab Lab) error {
			if err := keep(ctx, lab, id, dnsConfig()); err != nil {
				return err
			}
			text, err := read(ctx, lab, "{.data."+corefileKey+"}", dnsConfig()...)
			if err != nil {
				return err
			}
			data := object{corefileKey: nil, strings.ToLower(corefileKey): text}
			if err := patch(ctx, lab, object{"data": data}, dnsConfig()...); err != nil {
				return err
			}
			return restartDNS(ctx, lab)
		},
		Shown: ofSystem(podEvent, dnsPods, "references non-existent config key"),
		Mend:  mendDNS(id),
		Again: restartDNS,
		Root:  "coredns-configmap-key", Fix: []string{"coredns-configmap-key"},
	}
}
