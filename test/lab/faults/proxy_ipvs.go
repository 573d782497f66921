package faults

// proxyIPVS asks for what the kernel does not have. Traffic goes on by the
// rules of before, until something changes.
func proxyIPVS() *Fault {
	f := proxyFault("proxy-ipvs", "kube-proxy is in mode ipvs on a kernel without IPVS", proxyConfigKey, setProxy("mode", "ipvs"))
	f.Shell = true // only a lab's kernel is known to lack it
	f.Shown = ofSystem(logged, proxyPods, "can't use the IPVS proxier")
	f.Root, f.Fix, f.Again = "kube-proxy-ipvs-unusable", []string{"kube-proxy-ipvs-unusable"}, restartProxy
	return f
}
