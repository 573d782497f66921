package cmd

import (
	"fmt"
	"io"
	"strconv"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/miekg/dns"
	"github.com/spf13/pflag"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// gatherTimeout is how long reading a cluster may take by default, and podsTimeout the same
// where pods look, which must be pulled, started, and tried twice.
const (
	gatherTimeout = 60 * time.Second
	podsTimeout   = 3 * time.Minute
)

// metricsWindow is long enough for a busy CoreDNS to answer hundreds of questions, and
// short enough to wait for.
const metricsWindow = 2 * time.Second

// projectName is a name outside of every cluster that pods of most clusters may ask for.
const projectName = "kubernetes.io."

// reading says how a cluster is read; all commands that look share its flags.
type reading struct {
	timeout    time.Duration
	given      func() bool // whether --timeout was
	allNodes   bool
	consistent bool
	window     time.Duration
	outside    string
	verbose    int
	deep
}

func (r *reading) addFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&r.timeout, "timeout", 0, "how long reading the cluster may take; what was not read by then is unknown (default "+gatherTimeout.String()+", with --depth probe or host "+podsTimeout.String()+")")
	r.given = func() bool { return fs.Changed("timeout") }
	fs.BoolVar(&r.allNodes, "all-nodes", false, "ask every kubelet and every pod of the network; in large clusters a sample is asked, those in trouble first")
	fs.BoolVar(&r.consistent, "consistent", false, "read lists as of now, by pages, not from the API server's watch cache, which may lag by a moment and costs less")
	fs.DurationVar(&r.window, "metrics-window", metricsWindow, "how far apart CoreDNS's metrics are read twice; 0: what they tell is unknown")
	fs.StringVar(&r.outside, "outside-name", projectName, "a name outside the cluster to ask CoreDNS for, and with --depth probe the servers that it forwards to; empty: none is asked for")
	r.deep.addFlags(fs)
	fs.CountVarP(&r.verbose, "verbose", "v", "tell on stderr what was read: objects, bytes, requests, time")
}

func (r *reading) valid() error {
	if r.timeout < 0 || r.timeout == 0 && r.given() {
		return usage("--timeout %s: must be longer than nothing", r.timeout)
	}
	if r.window < 0 {
		return usage("--metrics-window %s: must not be negative", r.window)
	}
	if _, valid := dns.IsDomainName(r.outside); r.outside != "" && !valid {
		return usage("--outside-name %s: must be a domain name", r.outside)
	}
	return r.deep.valid()
}

// within returns how long looking at a depth may take.
func (r *reading) within(depth facts.Depth) time.Duration {
	switch {
	case r.timeout > 0:
		return r.timeout
	case depth >= facts.Probe:
		return podsTimeout
	}
	return gatherTimeout
}

// outsideName returns the name outside the cluster to ask for with its final dot, or "".
func (r *reading) outsideName() string {
	if r.outside == "" {
		return ""
	}
	return dns.Fqdn(r.outside)
}

// reads collects what was read, for --verbose.
type reads struct {
	mu  sync.Mutex
	all []gather.Read
}

func (r *reads) add(read gather.Read) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, read)
}

// tell writes a line for each read, in the order in which they ended.
func (r *reads) tell(to io.Writer) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "objects\tbytes\trequests\tseconds\t  read")
	for _, read := range r.all {
		what := read.Source.Name
		if read.Namespace != "" {
			what += " of " + report.Clean(read.Namespace)
		}
		if read.Err != nil {
			what += ": " + report.Clean(read.Err.Error())
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%.2f\t  %s\n", report.Count1000(read.Objects), bytesText(read.Bytes), read.Requests, read.Took.Seconds(), what)
	}
	_ = w.Flush() // to stderr: there is nobody to tell
}

// bytesText writes a size in the decimal units of networks.
func bytesText(n int64) string {
	size, units := float64(n), []string{"B", "kB", "MB", "GB"}
	for len(units) > 1 && size >= 1000 {
		size, units = size/1000, units[1:]
	}
	if units[0] == "B" {
		return strconv.FormatInt(n, 10) + " B"
	}
	return fmt.Sprintf("%.1f %s", size, units[0])
}
