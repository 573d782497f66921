package coredns

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
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
	Explains: []*checks.Check{PodAnswers, symptom.DNSProbeCluster},
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

**Cure**: add ` + "`fallthrough`" + `, or narrow the zones: ` + "`template IN ANY corp.example {`" + `, ` + "`hosts /etc/coredns/custom corp.example {`" + `. A template whose
` + "`match`" + ` fits does not fall through: narrow it, or take it out.`,
}

func findNameShadowed(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, c := range configs(s) {
		for _, b := range c.file.Blocks {
			for _, zone := range clusterZones(b) {
				if all := shadows(b, zone); len(all) > 0 {
					out = append(out, c.shadowed(all[0]))
					break
				}
			}
		}
	}
	return out
}

// shadowed tells of the first directive that takes the cluster's names.
func (c config) shadowed(sh Shadow) checks.Finding {
	d := sh.Directive
	if !sh.IPv6 {
		cure := "Add fallthrough to %s, or narrow its zones: %s."
		if sh.Means {
			cure = "Take the %s out, or narrow its zones or its match: %s."
		}
		return c.finding(fmt.Sprintf("lets %s take the cluster's names, before kubernetes sees them: %s", d.Name, sh.Answer),
			fmt.Sprintf(cure, d.Name, c.edit()), c.quoteDirective(d))
	}
	f := c.finding(fmt.Sprintf("lets %s take questions for IPv6 addresses of the cluster's names: %s", d.Name, sh.Answer),
		fmt.Sprintf("Let %s say rcode NOERROR for AAAA, so that the name does not count as absent: %s.", d.Name, c.edit()), c.quoteDirective(d))
	f.Severity = checks.Warning
	return f
}

// A Shadow is a directive that takes the cluster's names before the plugin kubernetes sees
// them.
type Shadow struct {
	Directive *corefile.Directive // template or hosts
	Zone      string              // the cluster's
	Answer    string              // the code that comes in place of kubernetes' answer
	Means     bool                // the answer is a template's own, and not for want of fallthrough
	IPv6      bool                // it takes questions for IPv6 addresses alone

	block *corefile.Block
}

// WholeCluster tells whether a template means every Service of the cluster.
func (sh Shadow) WholeCluster() bool { return sh.meansAll("svc." + sh.Zone) }

// WholeBlock tells whether a template means every name that its block serves, or none outside of
// the cluster. Otherwise it may be there for the sake of some other names.
func (sh Shadow) WholeBlock() bool {
	inCluster := func(zone string) bool { return corefile.Contains(sh.Zone, zone) }
	outside := slices.DeleteFunc(sh.block.Origins(sh.Directive.Args[min(2, len(sh.Directive.Args)):]), inCluster)
	return len(outside) == 0 || sh.meansAll(sh.block.Zones()...)
}

// meansAll tries two names of each zone that nobody has a reason to mean.
func (sh Shadow) meansAll(zones ...string) bool {
	for _, zone := range zones {
		for _, labels := range []string{"a", "netdoctor-0.b"} {
			name := strings.TrimRight(labels+"."+zone, ".") + "."
			if _, means := template(sh.block, sh.Directive, name, "A"); !means {
				return false
			}
		}
	}
	return true
}

// Shadows returns all directives of a Corefile that take the cluster's names, for each zone in
// the order in which CoreDNS asks them: what stands behind one takes them once that is cured.
func Shadows(file *corefile.File) []Shadow {
	var out []Shadow
	for _, b := range file.Blocks {
		for _, zone := range clusterZones(b) {
			out = append(out, shadows(b, zone)...)
		}
	}
	return out
}

// shadows returns those of a block, of which any for IPv4 come first.
func shadows(b *corefile.Block, zone string) []Shadow {
	out := taking(b, zone, "A")
	for _, sh := range taking(b, zone, "AAAA") {
		if slices.ContainsFunc(out, func(other Shadow) bool { return other.Directive == sh.Directive }) {
			continue
		}
		if sh.Answer != emptyAnswer {
			sh.IPv6 = true
			out = append(out, sh)
		}
		if sh.Means {
			break // what comes behind it is not asked
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

// How a plugin answers a name that it takes.
const (
	emptyAnswer = "NOERROR"
	serverFails = "SERVFAIL"
)

// taking returns the directives that answer a question in the place of kubernetes, templates
// first.
func taking(b *corefile.Block, zone, qtype string) []Shadow {
	name := "kubernetes.default.svc." + strings.TrimSuffix(zone, ".") + "."
	var out []Shadow
	for _, d := range b.Find("template") {
		if how, means := template(b, d, name, qtype); how != "" {
			out = append(out, Shadow{block: b, Directive: d, Zone: zone, Answer: how, Means: means})
		}
	}
	for _, d := range b.Find("hosts") {
		if within(b.Origins(d.Args[min(1, len(d.Args)):]), name) && !imports(d) && !fallsThrough(d, name) && !knows(d, name) {
			out = append(out, Shadow{block: b, Directive: d, Zone: zone, Answer: serverFails})
		}
	}
	return out
}

// template says how a template answers, or "" where it passes the question on or that cannot be
// told (coredns plugin/template, ServeDNS and match), and whether it means the name.
func template(b *corefile.Block, d *corefile.Directive, name, qtype string) (how string, means bool) {
	if len(d.Args) < 2 || !slices.Contains([]string{"IN", "ANY"}, strings.ToUpper(d.Args[0])) || !slices.Contains([]string{qtype, "ANY"}, strings.ToUpper(d.Args[1])) {
		return "", false
	}
	if !within(b.Origins(d.Args[2:]), name) || imports(d) {
		return "", false
	}
	switch fits, sure := matches(d, name); {
	case !sure:
		return "", false
	case fits && len(d.Find("expr")) == 0: // with one it depends on who asks
		return code(d), true
	case fallsThrough(d, name):
		return "", false
	}
	return serverFails, false
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
	if o := Rcode(d); o != nil {
		return strings.ToUpper(o.Args[0])
	}
	return emptyAnswer
}

// Rcode returns the option with the code that a template answers, nil where it has none. Of
// several the last counts.
func Rcode(d *corefile.Directive) *corefile.Directive {
	for _, o := range slices.Backward(d.Find("rcode")) {
		if len(o.Args) == 1 {
			return o
		}
	}
	return nil
}

// imports tells whether a file holds some of a directive's options, which nobody knows.
func imports(d *corefile.Directive) bool { return len(d.Find("import")) > 0 }

func within(zones []string, name string) bool {
	return slices.ContainsFunc(zones, func(zone string) bool { return corefile.Contains(zone, name) })
}

// fallsThrough tells whether a name that a directive does not know is passed on. Of several
// fallthroughs the last counts (coredns plugin/pkg/fall).
func fallsThrough(d *corefile.Directive, name string) bool {
	all := d.Find("fallthrough")
	if len(all) == 0 {
		return false
	}
	last := all[len(all)-1]
	return len(last.Args) == 0 || within(last.Args, name)
}

// knows tells whether a hosts block has an entry for a name.
func knows(d *corefile.Directive, name string) bool {
	return slices.ContainsFunc(d.Options, func(o *corefile.Directive) bool { return slices.Contains(o.Args, strings.TrimSuffix(name, ".")) })
}
