package kubeproxy

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/kube-proxy/config/v1alpha1"
)

// problem is a value with which kube-proxy exits.
type problem struct{ field, value, wants string }

// leadingZeros are accepted by kube-proxy in IPv4 addresses, and refused by package net.
var leadingZeros = regexp.MustCompile(`(^|\.)0+(\d)`)

// validate finds what makes kube-proxy exit on Linux, and nothing else
// (k8s.io/kubernetes, pkg/proxy/apis/config/validation).
func validate(c *v1alpha1.KubeProxyConfiguration) []problem {
	var out []problem
	check := func(ok bool, field, value, wants string) {
		if !ok {
			out = append(out, problem{field, value, wants})
		}
	}
	check(slices.Contains([]string{"", "iptables", "ipvs", "nftables"}, string(c.Mode)), "mode", string(c.Mode), "iptables, ipvs, nftables or nothing")
	check(c.BindAddress == "" || isIP(c.BindAddress), "bindAddress", c.BindAddress, "an IP address")
	check(c.HealthzBindAddress == "" || isAddress(c.HealthzBindAddress), "healthzBindAddress", c.HealthzBindAddress, "IP:port")
	check(c.MetricsBindAddress == "" || isAddress(c.MetricsBindAddress), "metricsBindAddress", c.MetricsBindAddress, "IP:port")
	for _, a := range c.NodePortAddresses {
		check(isCIDR(a) || slices.Contains([]string{"primary", "localhost", "all"}, a), "nodePortAddresses", a, "CIDRs, or the word primary")
	}
	out = append(out, validateLocal(c)...)
	return append(out, validateNumbers(c)...)
}

// validateLocal looks at how kube-proxy tells the traffic of pods from other traffic.
// The cluster's CIDR counts only in the mode that uses it, which is the default.
func validateLocal(c *v1alpha1.KubeProxyConfiguration) []problem {
	mode := string(c.DetectLocalMode)
	switch mode {
	case "", "ClusterCIDR":
		if c.ClusterCIDR != "" && !isClusterCIDR(c.ClusterCIDR) {
			return []problem{{"clusterCIDR", c.ClusterCIDR, "one CIDR, or one of each IP family joined by a comma"}}
		}
	case "NodeCIDR":
	case "BridgeInterface":
		if c.DetectLocal.BridgeInterface == "" {
			return []problem{{"detectLocal.bridgeInterface", `""`, "the name of the pods' bridge, since detectLocalMode is " + mode}}
		}
	case "InterfaceNamePrefix":
		if c.DetectLocal.InterfaceNamePrefix == "" {
			return []problem{{"detectLocal.interfaceNamePrefix", `""`, "how the pods' interfaces begin, since detectLocalMode is " + mode}}
		}
	default:
		return []problem{{"detectLocalMode", mode, "ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix or nothing"}}
	}
	return nil
}

func validateNumbers(c *v1alpha1.KubeProxyConfiguration) []problem {
	var out []problem
	section, sync, minimal := "iptables", c.IPTables.SyncPeriod.Duration, c.IPTables.MinSyncPeriod.Duration
	switch c.Mode {
	case "ipvs":
		section, sync, minimal = "ipvs", c.IPVS.SyncPeriod.Duration, c.IPVS.MinSyncPeriod.Duration
	case "nftables":
		section, sync, minimal = "nftables", c.NFTables.SyncPeriod.Duration, c.NFTables.MinSyncPeriod.Duration
	}
	if sync == 0 {
		sync = 30 * time.Second
	}
	if sync < 0 || minimal < 0 || minimal > sync {
		out = append(out, problem{section + ".minSyncPeriod", minimal.String(), "from 0 to syncPeriod, which is " + sync.String()})
	}
	if c.ConfigSyncPeriod.Duration < 0 {
		out = append(out, problem{"configSyncPeriod", c.ConfigSyncPeriod.Duration.String(), "more than 0"})
	}
	for _, n := range []struct {
		field    string
		value    *int32
		from, to int32
	}{
		{"iptables.masqueradeBit", c.IPTables.MasqueradeBit, 0, 31},
		{"oomScoreAdj", c.OOMScoreAdj, -1000, 1000},
		{"conntrack.maxPerCore", c.Conntrack.MaxPerCore, 0, 1<<31 - 1},
		{"conntrack.min", c.Conntrack.Min, 0, 1<<31 - 1},
	} {
		if n.value != nil && (*n.value < n.from || *n.value > n.to) {
			out = append(out, problem{n.field, strconv.Itoa(int(*n.value)), fmt.Sprintf("from %d to %d", n.from, n.to)})
		}
	}
	return out
}

func isIP(s string) bool {
	if !strings.Contains(s, ":") {
		s = leadingZeros.ReplaceAllString(s, "$1$2")
	}
	return net.ParseIP(s) != nil
}

func isCIDR(s string) bool {
	if !strings.Contains(s, ":") {
		s = leadingZeros.ReplaceAllString(s, "$1$2")
	}
	_, _, err := net.ParseCIDR(s)
	return err == nil
}

// isAddress accepts IP:port, and an IP alone, to which kube-proxy adds its own port.
func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return isIP(s)
	}
	n, err := strconv.Atoi(port)
	return isIP(host) && err == nil && n >= 1 && n <= 65535
}

func isClusterCIDR(s string) bool {
	parts := strings.Split(s, ",")
	if len(parts) > 2 || slices.ContainsFunc(parts, func(p string) bool { return !isCIDR(p) }) {
		return false
	}
	return len(parts) == 1 || strings.Contains(parts[0], ":") != strings.Contains(parts[1], ":")
}
