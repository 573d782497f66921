package coredns

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Oldest returns the version of the oldest server that reads its Corefile from a
// ConfigMap, nil where one is not known.
func Oldest(s *facts.Snapshot, config facts.Ref) []int {
	var oldest []int
	for _, v := range servers(s) {
		if cm, _ := configOf(s, v.pod); cm == nil || configRef(cm) != config {
			continue
		}
		runs := version(v.container.Image)
		if runs == nil {
			return nil
		}
		if oldest == nil || slices.Compare(runs, oldest) < 0 {
			oldest = runs
		}
	}
	return oldest
}

// Reached tells whether a version is known and at or above a release such as "1.5.0".
func Reached(version []int, release string) bool { return reached(version, release) }

// Asked returns the ports at which the probe of a check, Readiness or Liveness, asks the
// servers that read their Corefile from a ConfigMap, each once.
func Asked(s *facts.Snapshot, config facts.Ref, check *checks.Check) []string {
	q := readiness()
	if check == Liveness {
		q = liveness()
	}
	fleet := newFleet(s)
	var out []string
	for _, v := range fleet.servers {
		spec := fleet.container(v)
		if cm, _ := configOf(s, v.pod); cm == nil || configRef(cm) != config || spec == nil {
			continue
		}
		if port := q.asks(spec); port != "" && !slices.Contains(out, port) {
			out = append(out, port)
		}
	}
	return out
}

// Silent tells whether a plugin listens at the port that the probe of a check, Readiness or
// Liveness, asks, on a loopback address, where no kubelet comes.
func Silent(check *checks.Check, d *corefile.Directive, asked string) bool {
	q := readiness()
	if check == Liveness {
		q = liveness()
	}
	host, port, known := q.listens(d)
	return known && loopback(host) && port == asked
}

// KubeletDomain returns the one cluster domain that kubelets hand out, "" where they do not
// agree or none is known.
func KubeletDomain(s *facts.Snapshot) string {
	if domains := clusterDomains(s); len(domains) == 1 {
		return domains[0].name
	}
	return ""
}

// whereTold matches the place and the words of an error in findings about a Corefile.
var whereTold = regexp.MustCompile(`Corefile:(\d+) - (.*)$`)

var unknownProperty = regexp.MustCompile(`unknown property '([^']*)'`)

// Told returns the line of the Corefile that a finding of CorefileError or ReloadFailed
// names, 0 for none, and the directive or the option in it that CoreDNS does not know, if
// that is why.
func Told(f checks.Finding) (line int, directive, option string) {
	m := whereTold.FindStringSubmatch(f.Message)
	if m == nil {
		return 0, "", ""
	}
	line, _ = strconv.Atoi(m[1])
	if u := unknownDirective.FindStringSubmatch(m[2]); u != nil {
		directive = u[1]
	}
	if u := unknownProperty.FindStringSubmatch(m[2]); u != nil {
		option = u[1]
	}
	return line, directive, option
}

// ForwardsAll returns the block that forwards what nothing else in it answers, or nil.
func ForwardsAll(file *corefile.File) *corefile.Block {
	i := slices.IndexFunc(file.Blocks, func(b *corefile.Block) bool { return forwardsAll(b) != nil })
	if i < 0 {
		return nil
	}
	return file.Blocks[i]
}

// Uncached returns the blocks for "." that forward without a cache.
func Uncached(file *corefile.File) []*corefile.Block {
	var out []*corefile.Block
	for _, b := range file.Blocks {
		if slices.Contains(b.Zones(), ".") && len(b.Find("forward")) > 0 && len(b.Find("cache")) == 0 && len(file.Imports) == 0 {
			out = append(out, b)
		}
	}
	return out
}
