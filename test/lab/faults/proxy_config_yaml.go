package faults

// proxyConfigYAML is an edit with a bracket too few.
func proxyConfigYAML() *Fault {
	f := proxyFault("proxy-config-yaml", "kube-proxy's configuration is no YAML", proxyConfigKey,
		func(text string) (string, error) { return text + "\nnodePortAddresses: [10.77.0.0/24\n", nil })
	f.Shown = ofSystem(podsSay, proxyPods, `"exitCode":1`)
	f.Root = "kube-proxy-config-invalid"
	return f
}
