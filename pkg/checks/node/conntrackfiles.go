package node

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

const (
	conntrackCount = "/proc/sys/net/netfilter/nf_conntrack_count"
	conntrackMax   = "/proc/sys/net/netfilter/nf_conntrack_max"
	conntrackStat  = "/proc/net/stat/nf_conntrack"
	kernelLog      = "/dmesg"
	// saidFull is what the kernel says of a packet that it drops (net/netfilter/nf_conntrack_core.c):
	// newer ones name the network namespace, too.
	saidFull = "nf_conntrack: table full"
)

// conntrackParts names the sizes of each node's table and what its kernel says, where nodes
// are looked at.
func conntrackParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	if s.Depth < facts.Host {
		return nil
	}
	for _, n := range s.LinuxNodes() {
		out = append(out, checks.Files(s, n.Name, conntrackCount, conntrackMax, kernelLog)...)
	}
	return out
}

// tracked tells how full a node's table of connections is, by what its kernel says: without
// a message where there is nothing to tell.
func tracked(v host.View) checks.Finding {
	var f checks.Finding
	count, err := strconv.Atoi(v.Word(conntrackCount))
	size, err2 := strconv.Atoi(v.Word(conntrackMax))
	known := err == nil && err2 == nil && size > 0 // 0: as many as there is memory for
	percent := 0
	if known {
		percent = int(100 * float64(count) / float64(size))
	}
	said := lastSaying(v, saidFull)
	switch {
	case percent >= 98:
		f.Severity, f.Message = checks.Error, tableFull
	case said != "" && percent >= 75:
		f.Severity, f.Message = checks.Error, "drops packets of new connections at times, when its table of connections is full"
	case percent >= 90:
		f.Severity, f.Message = checks.Warning, "has little room for new connections: its table of connections is nearly full"
	case said != "":
		f.Severity, f.Message = checks.Warning, "has dropped packets of new connections: its table of connections was full"
	default:
		return f
	}
	if known {
		f.Evidence = append(f.Evidence, checks.QuoteFile(v.Node(), "nf_conntrack_count of nf_conntrack_max", fmt.Sprintf("%d of %d", count, size)))
	}
	if said != "" {
		f.Evidence = append(f.Evidence, checks.QuoteFile(v.Node(), kernelLog, said))
	}
	if n := statSum(v, "drop"); n > 0 {
		f.Evidence = append(f.Evidence, checks.QuoteFile(v.Node(), conntrackStat, fmt.Sprintf("drop: %d since its start", n)))
	}
	return f
}

// lastSaying returns the last line of the kernel that holds some words, or "".
func lastSaying(v host.View, words string) string {
	text, _ := v.Read(kernelLog)
	for _, line := range slices.Backward(slices.Collect(strings.Lines(text))) {
		if strings.Contains(line, words) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// statSum adds up a column of conntrack's counters, which are hexadecimal and have a line
// for each processor.
func statSum(v host.View, column string) (sum uint64) {
	text, _ := v.Read(conntrackStat)
	head, rest, _ := strings.Cut(text, "\n")
	i := slices.Index(strings.Fields(head), column)
	for line := range strings.Lines(rest) {
		if columns := strings.Fields(line); i >= 0 && i < len(columns) {
			n, _ := strconv.ParseUint(columns[i], 16, 64)
			sum += n
		}
	}
	return sum
}
