package coredns

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// config is a Corefile and the servers that read it.
type config struct {
	cm      *corev1.ConfigMap
	file    *corefile.File
	servers []server
}

// configs returns the Corefiles of the cluster's DNS servers, each once. One that is no
// Corefile is another check's matter.
func configs(s *facts.Snapshot) []config {
	var out []config
	refused := map[*corev1.ConfigMap]bool{}
	for _, v := range servers(s) {
		cm, text := configOf(s, v.pod)
		if cm == nil || refused[cm] {
			continue
		}
		if i := slices.IndexFunc(out, func(c config) bool { return c.cm == cm }); i >= 0 {
			out[i].servers = append(out[i].servers, v)
			continue
		}
		file, err := corefile.Parse(text)
		if err != nil {
			refused[cm] = true
			continue
		}
		out = append(out, config{cm, file, []server{v}})
	}
	return out
}

// lacks tells whether a Corefile for the cluster's names does without a directive. Where
// files are imported, nobody knows.
func (c config) lacks(directive string) bool {
	return len(c.file.Imports) == 0 && c.has("kubernetes") && !c.has(directive)
}

func (c config) has(directive string) bool {
	return slices.ContainsFunc(c.file.Blocks, func(b *corefile.Block) bool { return len(b.Find(directive)) > 0 })
}

// finding makes a finding about the Corefile.
func (c config) finding(message, remedy string, evidence ...checks.Evidence) checks.Finding {
	f := checks.Finding{Subject: configRef(c.cm), Message: message, Remedy: remedy, Evidence: evidence}
	for _, v := range c.servers {
		f.Places = append(f.Places, v.pod.Ref())
	}
	return f
}

// quoteBlock quotes the first line of a block.
func (c config) quoteBlock(b *corefile.Block) checks.Evidence {
	return c.quote(b.Line, strings.Join(b.Keys, " ")+" {")
}

func (c config) quoteDirective(d *corefile.Directive) checks.Evidence {
	return c.quote(d.Line, strings.Join(append([]string{d.Name}, d.Args...), " "))
}

func (c config) quote(line int, text string) checks.Evidence {
	return checks.Quote(configRef(c.cm).String()+", Corefile", fmt.Sprintf("line %d: %s", line, text))
}

// edit says how to get at the Corefile.
func (c config) edit() string {
	return checks.Command("kubectl -n %s edit configmap %s", c.cm.Namespace, c.cm.Name)
}
