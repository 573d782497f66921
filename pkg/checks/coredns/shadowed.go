package coredns

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// NameShadowed finds Corefiles in which another plugin takes the cluster's names before the
// plugin kubernetes sees them.
var NameShadowed = &checks.Check{
	ID:       "coredns-name-shadowed",
	Title:    "The cluster's names reach the plugin kubernetes",
	Severity: checks.Error,
	URL:      "https://coredns.io/plugins/template/",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps},
	ByHand: []string{"kubectl -n kube-system get configmap coredns -o yaml",
		"kubectl run dns --rm -it --restart=Never --image=busybox:1.36 -- nslookup kubernetes.default"},
	Run: findNameShadowed,
	Doc: `CoreDNS asks its plugins in a fixed order, whatever the order in the Corefile: **template**, then **hosts**, then **kubernetes**.
Of these the first two keep a name for themselves in more cases than one expects (coredns plugin/template, plugin/hosts):

- a template whose zone and type fit and whose ` + "`match`" + ` fits answers, also with NXDOMAIN;
- a template whose zone and type fit and whose ` + "`match`" + ` does not, answers SERVFAIL, unless it has ` + "`fallthrough`" + `;
- hosts answers SERVFAIL for every name of its zones that it does not know, unless it has ` + "`fallthrough`" + `. Without zones it has those of its block.

No Service can be found by name then. A template for AAAA alone that says NXDOMAIN is told as a warning: it says that the name does not
exist, and resolvers such as musl's believe it, although the name has an IPv4 address. NOERROR without an answer is what is meant there.

**How it comes about**: a template that was to block a search domain or IPv6, a hosts block with a few names, without ` + "`fallthrough`" + `.

**Cure**: add ` + "`fallthrough`" + `, or narrow the zones: ` + "`template IN ANY corp.example {`" + `, ` + "`hosts /etc/coredns/custom corp.example {`" + `.`,
}

func findNameShadowed(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, c := range configs(s) {
		for _, b := range c.file.Blocks {
			for _, zone := range clusterZones(b) {
				if f := shadowed(c, b, "kubernetes.default.svc."+strings.TrimSuffix(zone, ".")+"."); f != nil {
					out = append(out, *f)
					break
				}
			}
		}
	}
	return out
}

// clusterZones returns the zones of names that a block's plugin kubernetes serves.
func clusterZones(b *corefile.Block) []string {
	var out []string
	for _, d := range b.Find("kubernetes") {
		for _, zone := range d.Args {
			if !strings.HasSuffix(strings.TrimSuffix(zone, "."), ".arpa") && !strings.Contains(zone, "/") {
				out = append(out, strings.ToLower(zone))
			}
		}
	}
	return out
}

// shadowed asks a block's plugins for a name as CoreDNS would.
func shadowed(c config, b *corefile.Block, name string) *checks.Finding {
	d, how := taken(b, name, "A")
	if d != nil {
		f := c.finding(fmt.Sprintf("lets %s take the cluster's names, before kubernetes sees them: %s", d.Name, how),
			fmt.Sprintf("Add fallthrough to %s, or narrow its zones: %s.", d.Name, c.edit()), c.quoteDirective(d))
		return &f
	}
	if d, how = taken(b, name, "AAAA"); d == nil || how == emptyAnswer {
		return nil
	}
	f := c.finding(fmt.Sprintf("lets %s take questions for IPv6 addresses of the cluster's names: %s", d.Name, how),
		fmt.Sprintf("Let %s say rcode NOERROR for AAAA, so that the name does not count as absent: %s.", d.Name, c.edit()), c.quoteDirective(d))
	f.Severity = checks.Warning
	return &f
}

// How a plugin answers a name that it takes.
const (
	emptyAnswer = "NOERROR"
	serverFails = "SERVFAIL"
)

// taken returns the directive that answers a question in the place of kubernetes, and how;
// nil where none does.
func taken(b *corefile.Block, name, qtype string) (d *corefile.Directive, how string) {
	for _, d := range b.Find("template") {
		if how := template(b, d, name, qtype); how != "" {
			return d, how
		}
	}
	for _, d := range b.Find("hosts") {
		if within(b.Origins(d.Args[min(1, len(d.Args)):]), name) && !fallsThrough(d, name) && !knows(d, name) {
			return d, serverFails
		}
	}
	return nil, ""
}

// template says how a template answers, or "" where it passes the question on (coredns
// plugin/template, ServeDNS and match).
func template(b *corefile.Block, d *corefile.Directive, name, qtype string) string {
	if len(d.Args) < 2 || !slices.Contains([]string{"IN", "ANY"}, strings.ToUpper(d.Args[0])) || !slices.Contains([]string{qtype, "ANY"}, strings.ToUpper(d.Args[1])) {
		return ""
	}
	if !within(b.Origins(d.Args[2:]), name) {
		return ""
	}
	switch fits, sure := matches(d, name); {
	case !sure:
		return ""
	case fits:
		return code(d)
	case fallsThrough(d, name):
		return ""
	}
	return serverFails
}

// matches tells whether a template's expressions fit a name; sure is false where one cannot
// be read.
func matches(d *corefile.Directive, name string) (fits, sure bool) {
	var all []string
	for _, m := range d.Find("match") {
		all = append(all, m.Args...)
	}
	if len(all) == 0 {
		return true, true
	}
	for _, text := range all {
		expression, err := regexp.Compile(text)
		if err != nil {
			return false, false
		}
		if expression.MatchString(name) {
			return true, true
		}
	}
	return false, true
}

// code is what a template answers.
func code(d *corefile.Directive) string {
	for _, o := range d.Find("rcode") {
		if len(o.Args) == 1 {
			return strings.ToUpper(o.Args[0])
		}
	}
	return emptyAnswer
}

func within(zones []string, name string) bool {
	return slices.ContainsFunc(zones, func(zone string) bool { return corefile.Contains(zone, name) })
}

func fallsThrough(d *corefile.Directive, name string) bool {
	return slices.ContainsFunc(d.Find("fallthrough"), func(o *corefile.Directive) bool { return len(o.Args) == 0 || within(o.Args, name) })
}

// knows tells whether a hosts block has an entry for a name.
func knows(d *corefile.Directive, name string) bool {
	return slices.ContainsFunc(d.Options, func(o *corefile.Directive) bool { return slices.Contains(o.Args, strings.TrimSuffix(name, ".")) })
}
