package faults

import (
	"context"
	"errors"
	"strings"
)

// corefileSyntax is an edit that nobody notices: the pods keep the Corefile
// that they started with, and will not start again.
func corefileSyntax() *Fault {
	const id = "corefile-syntax"
	return &Fault{
		ID: id, Title: "the Corefile has lost a brace; the running pods still have the old one",
		Break: func(ctx context.Context, lab Lab) error {
			return editCorefile(ctx, lab, id, func(text string) string {
				return strings.TrimSuffix(strings.TrimRight(text, "\n"), "}")
			})
		},
		Shown: func(ctx context.Context, lab Lab) error {
			text, err := read(ctx, lab, "{.data."+corefileKey+"}", dnsConfig()...)
			if err != nil {
				return err
			}
			if strings.Count(text, "{") == strings.Count(text, "}") {
				return errors.New("the braces of the Corefile match")
			}
			return endpoints(ctx, lab, system, "kube-dns", true)
		},
		Mend:  mendDNS(id),
		Again: func(context.Context, Lab) error { return nil }, // the running servers go on as before
		Root:  "coredns-corefile-error", Fix: []string{"coredns-corefile-error", "--with", "corefile-restore-last-good"},
	}
}
