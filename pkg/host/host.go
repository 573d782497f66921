// Package host reads what the files of a node say: what "check --depth host" brought, or a
// bundle holds. Everything in it is a pure function of a snapshot.
//
// Beside files of the node stands what its kernel says, under names of commands that print
// the like, so that a bundle can be filled by hand where no pod may be started:
//
//	/ip-addr.json        ip -json -details addr
//	/ip-route.json       ip -json route show table all, both families
//	/ip-rule.json        ip -json rule, both families
//	/ip-neigh.json       ip -json neigh
//	/bridge-fdb.json     bridge -json fdb
//	/iptables-save       iptables-nft-save, without the chains of single Services
//	/ip6tables-save      ip6tables-nft-save, likewise
//	/iptables-legacy-save, /ip6tables-legacy-save
//	/nft-chains          every base chain of nftables: family table chain type hook priority policy, and its number of rules
//	/nft-rules           rules of tables of others than iptables-nft and kube-proxy, at the hooks input, forward and output
//	/service-rules       what kube-proxy has written, resolved: see ServiceRule; empty where it has written nothing
//	/ss-listen           listening sockets: protocol address:port
//	/kubelet-cmdline     the kubelet's arguments, one a line
//	/dmesg               lines of the kernel about the network, the newest last
//	/machine-id-hash     the first 16 digits of the SHA-256 of /etc/machine-id, which differs from node to node
//	/ls/DIR              what a directory holds: type (- d l, ? for others), size in bytes, name, and for links " -> target"
//	/link/PATH           where a link leads, as it is written in it: of /etc/resolv.conf
//	/asked               what was looked for: a pattern of path.Match a line
//
// Some files are less than they are on the node: of /proc/modules the names are left, and
// only those of modules of the network; of /proc/net/stat/nf_conntrack the columns drop,
// early_drop, insert_failed and search_restart, with one line for all processors; of
// /proc/net/snmp the lines of Ip, Tcp and Udp; of a runtime's configuration the lines about
// CNI and the heads of sections. Secrets are REDACTED in all of them. /bridge-fdb.json lacks
// the multicast addresses that interfaces listen to, and /ip-rule.json what a rule without
// a table does.
//
// A rule of /iptables-save and its like has addresses, interfaces, protocol, ports, marks,
// states and comments, and of every other match and most targets the name alone. Counters
// are 0. Rules for one port of one Service are in /service-rules instead. "-m unknown" is a
// condition that could not be read, "-j unknown" a verdict: such a rule may or may not be for
// a packet.
//
// A rule of /nft-rules has that form too, "-A FAMILY/TABLE/CHAIN -s …", and a chain where it
// leads is called FAMILY/TABLE/CHAIN as well; the rules of that one are there too. Policies are
// in /nft-chains. A rule with a set in braces, or with a map of verdicts, is one line for each
// element. -4 and -6 stand where a rule of both families is for one; "-m th" has the ports of
// whichever protocol. A table that is switched off is in neither file.
package host

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Asked is the file that names what was looked for on a node. Without it a file that a
// bundle lacks may or may not be there.
const Asked = "/asked"

// View is what is known of one node's files.
type View struct {
	s    *facts.Snapshot
	node string
}

// Of returns the view of a node.
func Of(s *facts.Snapshot, node string) View { return View{s, node} }

// Known tells whether anything of the node was read.
func (v View) Known() bool { return len(v.s.Files[v.node]) > 0 }

// Node returns the node's name.
func (v View) Node() string { return v.node }

// Read returns a file's text; found is false where it was not read.
func (v View) Read(name string) (text string, found bool) {
	text, found = v.s.Files[v.node][name]
	return text, found
}

// Word returns the text of a file that holds one word, such as a sysctl, or "".
func (v View) Word(name string) string {
	text, _ := v.Read(name)
	return strings.TrimSpace(text)
}

// Absent tells whether it is certain that a file is not there: it was looked for, and
// nothing hindered the look.
func (v View) Absent(name string) bool {
	if _, found := v.Read(name); found {
		return false
	}
	if v.gap(name) != "" {
		return false
	}
	asked, _ := v.Read(Asked)
	for pattern := range strings.Lines(asked) {
		if fits, _ := path.Match(strings.TrimSpace(pattern), name); fits {
			return true
		}
	}
	return false
}

// Unknown says why a file is not known, or not in full: "" where all of it was read, where it
// is certainly not there, or where nobody asked for it on this node. What hindered the look
// at the file itself comes before what hindered that at the directories above it, and that
// before what is said of the whole node. A pattern of path.Match stands for all files that
// fit it.
func (v View) Unknown(name string) string {
	if why := cmp.Or(v.gap(name), v.gapFitting(name)); why != "" {
		return why
	}
	if _, found := v.Read(name); found || v.Absent(name) {
		return ""
	}
	for above := path.Dir(name); above != "/" && above != "."; above = path.Dir(above) {
		if why := v.gap(above); why != "" {
			return why
		}
	}
	if why := v.s.MissingPart(facts.Files, v.node); why != "" {
		return why
	}
	if v.Unasked() {
		return ""
	}
	return "not read"
}

// Unasked tells whether the node is not among those that were to be looked at (--nodes):
// nothing is known of it, and nothing is missing.
func (v View) Unasked() bool { return !v.Known() && v.s.MissingPart(facts.Files, v.node) == "" }

// Under returns the paths below a directory that were read, sorted.
func (v View) Under(dir string) []string {
	var out []string
	for name := range v.s.Files[v.node] {
		if strings.HasPrefix(name, dir+"/") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
