package corefile

import "slices"

// KnownDirective reports whether a stock CoreDNS 1.14 or 1.15 knows a directive
// (plugin.cfg of 1.14.6 and 1.15.0), or the parser does (import). Builds of
// vendors may know more, older releases know fewer. Directives that were removed
// before are not known; see [Directive.Removed].
func KnownDirective(name string) bool {
	return slices.Contains(Directives(), name)
}

// Directives returns what KnownDirective knows.
func Directives() []string {
	return []string{"acl", "any", "auto", "autopath", "azure", "bind", "bufsize", "cache", "cancel", "chaos",
		"clouddns", "debug", "dns64", "dnssec", "dnstap", "dynupdate", "erratic", "errors", "etcd",
		"file", "forward", "geoip", "grpc", "grpc_server", "header", "health", "hosts", "https",
		"https3", "import", "k8s_external", "kubernetes", "loadbalance", "local", "log", "loop",
		"metadata", "minimal", "multisocket", "nomad", "nsid", "on", "pprof", "prometheus",
		"proxyproto", "quic", "ready", "reload", "rewrite", "root", "route53", "secondary", "shed",
		"sign", "siit", "template", "timeouts", "tls", "trace", "transfer", "tsig", "view", "whoami"}
}

// Options returns the options that a stock CoreDNS 1.14 or 1.15 knows of a plugin that nearly
// every Corefile has (setup.go of each), nil for any other.
func Options(directive string) []string {
	switch directive {
	case "health":
		return []string{"lameduck"}
	case "ready":
		return []string{"monitor"}
	case "cache":
		return []string{"success", "denial", "prefetch", "serve_stale", "servfail", "disable", "keepttl"}
	case "forward":
		return []string{"except", "max_fails", "max_connect_attempts", "health_check", "force_tcp", "prefer_udp", "tls", "tls_servername", "expire",
			"max_age", "max_idle_conns", "read_timeout", "doh_method", "policy", "max_concurrent", "next", "next_on_nodata",
			"failfast_all_unhealthy_upstreams", "failover", "resolver", "source_address"}
	case "kubernetes":
		return []string{"endpoint_pod_names", "pods", "namespaces", "endpoint", "tls", "labels", "namespace_labels", "fallthrough", "ttl", "noendpoints",
			"zonal", "ignore", "kubeconfig", "multicluster", "startup_timeout", "apiserver_qps", "apiserver_burst", "apiserver_max_inflight"}
	}
	return nil
}

// A Removal is a word that CoreDNS no longer knows. From the release that
// removed it on, CoreDNS does not start with it.
type Removal struct {
	Directive string
	Option    string // "" if the directive as a whole was removed
	Line      int
	// Since is the release that removed it, such as "1.5.0".
	Since string
	// Replacement is the plugin to use instead. "" means that the word can be
	// deleted: nothing replaces it, or it had lost its effect before.
	Replacement string
}

// Removed lists what CoreDNS removed and the directive still uses. The releases
// are those in which the word left plugin.cfg or the plugin's setup.go.
func (d *Directive) Removed() []Removal {
	switch d.Name {
	case "proxy":
		return []Removal{{Directive: d.Name, Line: d.Line, Since: "1.5.0", Replacement: "forward"}}
	case "federation":
		return []Removal{{Directive: d.Name, Line: d.Line, Since: "1.7.0"}}
	}
	var removals []Removal
	for _, option := range d.Options {
		since, replacement := removedOption(d.Name, option)
		if since != "" {
			removals = append(removals, Removal{d.Name, option.Name, option.Line, since, replacement})
		}
	}
	return removals
}

func removedOption(directive string, option *Directive) (since, replacement string) {
	switch directive + " " + option.Name {
	case "kubernetes upstream", "kubernetes resyncperiod":
		return "1.7.0", ""
	case "kubernetes transfer", "file transfer", "auto transfer":
		return "1.8.0", "transfer"
	case "secondary upstream":
		return "1.8.0", ""
	case "secondary transfer": // where it transfers from is still said here
		if len(option.Args) > 0 && option.Args[0] == "to" {
			return "1.8.0", "transfer"
		}
	}
	return "", ""
}
