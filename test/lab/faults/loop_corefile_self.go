package faults

// loopCorefileSelf is the loop that an edit makes: inside the pod 127.0.0.1 is
// CoreDNS.
func loopCorefileSelf() *Fault {
	f := corefileFault("loop-corefile-self", "the Corefile forwards to CoreDNS itself", forwardTo("127.0.0.1"))
	f.Shown, f.Again = crashesWith(loopWords), restartDNS
	f.Slow = true
	f.Root, f.Fix = "coredns-upstream-self", upstreamFix("coredns-upstream-self")
	return f
}
