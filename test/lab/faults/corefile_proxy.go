package faults

import "regexp"

// corefileProxy is a Corefile from before CoreDNS 1.5.0, with pods that were
// restarted since.
func corefileProxy() *Fault {
	forward := regexp.MustCompile(`forward \. /etc/resolv\.conf( \{[^}]*\})?`)
	f := corefileFault("corefile-proxy", "the Corefile uses proxy, which CoreDNS 1.5.0 removed",
		func(text string) string { return forward.ReplaceAllLiteralString(text, "proxy . /etc/resolv.conf") })
	f.Shown, f.Again = crashesWith("Unknown directive 'proxy'"), restartDNS
	f.Root, f.Fix = "coredns-corefile-error", []string{"coredns-corefile-error", "--with", "corefile-migrate"}
	return f
}
