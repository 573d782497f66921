package coredns

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CustomConfig finds additions to the Corefile that are not read, or that CoreDNS refuses.
var CustomConfig = &checks.Check{
	ID:       "coredns-custom-config",
	Title:    "CoreDNS reads all of its additional configuration, and accepts it",
	Severity: checks.Warning,
	URL:      "https://coredns.io/plugins/import/",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps},
	MayUse:   []*facts.Source{facts.PodLogs},
	Explains: []*checks.Check{CorefileError, ReloadFailed},
	ByHand: []string{"kubectl -n kube-system get configmap coredns-custom -o yaml",
		"kubectl -n kube-system get configmap coredns -o yaml | grep import"},
	Run: findCustomConfig,
	Doc: `AKS, k3s and others own the Corefile and let users add to it: it imports ` + "`custom/*.override`" + ` into the block for "." and
` + "`custom/*.server`" + ` as blocks of their own, both from a ConfigMap, coredns-custom by custom. What is wrong there is easily missed:

* A key with another ending (` + "`corp.conf`, `corp.server.txt`" + `) is mounted and never read. Nothing says so.
* A brace too few, or a word that is none, keeps CoreDNS from starting; servers that run go on with what they have until they are restarted.
* A ` + "`.server`" + ` block for a zone that the Corefile serves already (` + "`.:53`" + `) is refused: ` + "`cannot serve dns://.:53 - it is already defined`" + `.
  Options for that zone belong into an ` + "`.override`" + `.

Cure: rename the key, or correct its text. Servers with the plugin **reload** then load it by themselves.`,
}

func findCustomConfig(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, c := range configs(s) {
		patterns := c.importPatterns()
		if len(patterns) == 0 {
			continue
		}
		for _, of := range c.servers[0].pod.ConfigMaps {
			if cm := s.ConfigMap(c.cm.Namespace, of); cm != nil && cm != c.cm {
				out = append(out, c.refusedKeys(cm, patterns)...)
				if c.sound(s) {
					out = append(out, c.unreadKeys(cm, patterns)...)
				}
			}
		}
	}
	return out
}

// importPattern is the last part of a path that the Corefile imports.
type importPattern struct {
	glob  string
	block bool // imported between blocks, not into one
}

func (c config) importPatterns() []importPattern {
	within := map[*corefile.Directive]bool{}
	for _, b := range c.file.Blocks {
		for _, d := range b.Find("import") {
			within[d] = true
		}
	}
	var out []importPattern
	for _, d := range c.file.Imports {
		if len(d.Args) == 1 && strings.ContainsAny(d.Args[0], "*?") && !corefile.Placeholder(d.Args[0]) {
			out = append(out, importPattern{path.Base(d.Args[0]), !within[d]})
		}
	}
	return out
}

// sound tells whether the servers run with the Corefile that they have. A key that nobody
// reads is no reason for anything, and may not stand above what is.
func (c config) sound(s *facts.Snapshot) bool {
	line, _ := staticError(c.cm.Data["Corefile"], c.servers[0].container.Image)
	return line == "" && !slices.ContainsFunc(c.servers, func(v server) bool {
		_, refused := v.refused(s, c.cm, c.cm.Data["Corefile"])
		return v.failing(s) || refused != ""
	})
}

func (c config) refusedKeys(cm *corev1.ConfigMap, patterns []importPattern) []checks.Finding {
	var out []checks.Finding
	for _, key := range keysOf(cm) {
		i := importing(patterns, key)
		if i < 0 {
			continue
		}
		if why := c.refuses(patterns[i].block, cm.Data[key], cm); why != "" {
			out = append(out, c.added(cm, fmt.Sprintf("holds under %s what CoreDNS refuses: %s", key, why),
				"Correct it before a CoreDNS pod is restarted: "+editOf(cm)+".", key))
		}
	}
	return out
}

// unreadKeys finds what looks like configuration and is not imported. Other keys may be
// there for another plugin: zone files.
func (c config) unreadKeys(cm *corev1.ConfigMap, patterns []importPattern) []checks.Finding {
	var out []checks.Finding
	for _, key := range keysOf(cm) {
		if importing(patterns, key) < 0 && !c.named(cm, key) && looksLikeCorefile(cm.Data[key]) {
			f := c.added(cm, fmt.Sprintf("has the key %s, which CoreDNS does not read: it imports %s", key, globs(patterns)),
				"Rename the key so that it is imported: "+editOf(cm)+".", key)
			if parked(patterns, key) {
				f.Severity = checks.Info
			}
			out = append(out, f)
		}
	}
	return out
}

// parked tells whether a key is that of imported configuration with something behind it,
// by which it was perhaps put aside: corp.server.off.
func parked(patterns []importPattern, key string) bool {
	return slices.ContainsFunc(patterns, func(p importPattern) bool { ok, _ := path.Match(p.glob+".*", key); return ok })
}

// importing returns which pattern imports a key, or -1.
func importing(patterns []importPattern, key string) int {
	return slices.IndexFunc(patterns, func(p importPattern) bool { ok, _ := path.Match(p.glob, key); return ok })
}

// named tells whether a file is named in the configuration: a zone file, a list of hosts.
func (c config) named(cm *corev1.ConfigMap, key string) bool {
	for _, text := range append([]string{c.cm.Data["Corefile"]}, valuesOf(cm)...) {
		if strings.Contains(text, "/"+key) || strings.Contains(text, " "+key) {
			return true
		}
	}
	return false
}

// looksLikeCorefile tells whether a text is a server block, or directives for one.
func looksLikeCorefile(text string) bool {
	directive := func(d *corefile.Directive) bool { return corefile.KnownDirective(d.Name) }
	for _, try := range []string{text, ".:53 {\n" + text + "\n}\n"} {
		file, err := corefile.Parse(try)
		if err != nil {
			continue
		}
		for _, b := range file.Blocks {
			if slices.ContainsFunc(b.Directives, directive) {
				return true
			}
		}
	}
	return false
}

// refuses returns what is wrong with an added text, or "".
func (c config) refuses(block bool, text string, cm *corev1.ConfigMap) string {
	if !block {
		return withinBlock(text)
	}
	file, err := corefile.Parse(text)
	if err != nil {
		return reason(err)
	}
	taken := map[corefile.Address]bool{}
	for _, b := range c.file.Blocks {
		if len(b.Find("import")) == 0 || !speaksOfAny(valuesOf(cm), "bind", "view") {
			claim(b, taken)
		}
	}
	for _, b := range file.Blocks {
		if a := claim(b, taken); a != nil {
			return fmt.Sprintf("cannot serve %s://%s:%s - it is already defined", a.Transport, a.Zone, a.Port)
		}
	}
	return ""
}

// withinBlock looks at a text that is imported into a block. A brace too few there takes
// in what follows, up to the next block.
func withinBlock(text string) string {
	file, err := corefile.Parse(".:53 {\n" + text + "\n}\nnext.invalid:53 {\nwhoami\n}\n")
	switch {
	case err != nil:
		return reason(err)
	case len(file.Blocks) != 2 || len(file.Blocks[1].Keys) != 1:
		return "its braces do not match"
	}
	return ""
}

// claim notes the addresses of a block and returns the first that is taken. With bind or
// view several blocks may serve one zone (coredns core/dnsserver/register.go).
func claim(b *corefile.Block, taken map[corefile.Address]bool) *corefile.Address {
	if len(b.Find("bind"))+len(b.Find("view")) > 0 {
		return nil
	}
	for _, a := range b.Addresses() {
		if taken[a] {
			return &a
		}
		taken[a] = true
	}
	return nil
}

func speaksOfAny(texts []string, words ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool {
		return slices.ContainsFunc(strings.Fields(text), func(f string) bool { return slices.Contains(words, f) })
	})
}

func (c config) added(cm *corev1.ConfigMap, message, remedy, key string) checks.Finding {
	f := c.finding(message, remedy, checks.Quote(configRef(cm).String()+", "+key, firstLine(cm.Data[key])))
	f.Subject = configRef(cm)
	return f
}

// reason leaves out where an error stands: the line is not that of the key's own text.
func reason(err error) string {
	var syntax *corefile.SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Message
	}
	return err.Error()
}

func editOf(cm *corev1.ConfigMap) string {
	return checks.Command("kubectl -n %s edit configmap %s", cm.Namespace, cm.Name)
}

func globs(patterns []importPattern) string {
	var out []string
	for _, p := range patterns {
		out = append(out, p.glob)
	}
	return strings.Join(out, " and ")
}

func keysOf(cm *corev1.ConfigMap) []string {
	var out []string
	for key := range cm.Data {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

func valuesOf(cm *corev1.ConfigMap) []string {
	var out []string
	for _, key := range keysOf(cm) {
		out = append(out, cm.Data[key])
	}
	return out
}

func firstLine(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}
