package agent

import (
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// kernelReads are what is no file of the host: makers brings each of them.
func kernelReads() []Look {
	made := Look{from: fromKernel}
	return slices.Concat(
		each("interfaces, their addresses and MTU, and what they lost", made, addrFile),
		each("routes of every table", made, routeFile),
		each("rules for tables of routes", made, ruleFile),
		each("neighbours, also those of overlays", made, neighFile),
		each("which node each address of an overlay is on", made, fdbFile),
		each("who listens on which port", made, listenFile),
		each("the kubelet's arguments, without values of tokens and passwords", made, kubeletFile),
		each("nodes that are copies of each other: a part of the SHA-256 of /etc/machine-id, never the ID", made, machineFile),
		each("what the kernel says of the network: the last 200 such lines", made, dmesgFile),
		each("packet filters, without the rules of single Services", made, filterFiles()...),
		each("what kube-proxy has written for each Service", made, host.ServiceRules),
	)
}

// The names of what is made, as package host documents them.
const (
	addrFile    = "/ip-addr.json"
	routeFile   = "/ip-route.json"
	ruleFile    = "/ip-rule.json"
	neighFile   = "/ip-neigh.json"
	fdbFile     = "/bridge-fdb.json"
	listenFile  = "/ss-listen"
	kubeletFile = "/kubelet-cmdline"
	machineFile = "/machine-id-hash"
	dmesgFile   = "/dmesg"
)

// filterFiles are the names that netfilterFiles writes beside host.ServiceRules.
func filterFiles() []string {
	return []string{"/iptables-save", "/ip6tables-save", "/iptables-legacy-save", "/ip6tables-legacy-save", "/nft-chains", "/nft-rules"}
}

func sysctlReads() []Look {
	setting := Look{from: fromProc}
	return slices.Concat(
		each("whether the node forwards packets", setting,
			"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/*/forwarding",
			"/proc/sys/net/ipv6/conf/all/forwarding", "/proc/sys/net/ipv6/conf/default/forwarding"),
		each("packets dropped for the way they came", setting,
			"/proc/sys/net/ipv4/conf/*/rp_filter", "/proc/sys/net/ipv4/conf/*/route_localnet"),
		each("whether IPv6 is switched off", setting,
			"/proc/sys/net/ipv6/conf/all/disable_ipv6", "/proc/sys/net/ipv6/conf/default/disable_ipv6"),
		each("whether bridged packets pass the packet filters", setting,
			"/proc/sys/net/bridge/bridge-nf-call-iptables", "/proc/sys/net/bridge/bridge-nf-call-ip6tables",
			"/proc/sys/net/bridge/bridge-nf-call-arptables"),
		each("tables that run full", setting,
			"/proc/sys/net/ipv4/neigh/default/gc_thresh1", "/proc/sys/net/ipv4/neigh/default/gc_thresh2",
			"/proc/sys/net/ipv4/neigh/default/gc_thresh3", "/proc/sys/net/netfilter/nf_conntrack_count",
			"/proc/sys/net/netfilter/nf_conntrack_max", "/proc/sys/net/netfilter/nf_conntrack_buckets"),
		each("connections that are cut", setting,
			"/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established",
			"/proc/sys/net/ipv4/tcp_keepalive_time", "/proc/sys/net/ipv4/vs/conntrack"),
		each("node ports that programs may take", setting, "/proc/sys/net/ipv4/ip_local_port_range"),
		each("modules of the network: their names", Look{from: fromProc, keep: moduleNames}, "/proc/modules"),
		each("connections that conntrack dropped", Look{from: fromProc, keep: conntrackDrops}, "/proc/net/stat/nf_conntrack"),
		each("packets that were dropped: the lines of Ip, Udp and Tcp", Look{from: fromProc, keep: snmpLines}, "/proc/net/snmp"),
	)
}
