package report

import (
	"regexp"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// plain is a name that means itself to a shell.
var plain = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// blank is a word to be filled in. Before ":." it heads a column.
var blank = regexp.MustCompile(`\b[A-Z]{3,}\b(:\.)?`)

// byHand returns the commands that show the same, with the names of the first object of
// each kind in the place of NAMESPACE, POD and the like. A name that a shell could take
// for something else is left to be filled in.
func byHand(n *cause.Node) []string {
	names := map[string]string{}
	fill := func(word, name string) {
		if names[word] == "" && plain.MatchString(name) {
			names[word] = name
		}
	}
	fill("NAME", n.Subject.Name)
	for _, r := range append([]facts.Ref{n.Subject}, n.Places...) {
		if r.Namespace != "" && r.Namespace != n.Subject.Namespace && n.Subject.Namespace != "" {
			continue
		}
		fill("NAMESPACE", r.Namespace)
		fill(strings.ToUpper(r.Kind), r.Name)
	}
	out := make([]string, len(n.Check.ByHand))
	for i, command := range n.Check.ByHand {
		out[i] = blank.ReplaceAllStringFunc(command, func(found string) string {
			word := strings.TrimRight(found, ":.")
			if name := names[word]; name != "" && !strings.HasSuffix(found, ":.") {
				return name + found[len(word):]
			}
			return found
		})
	}
	return out
}
