package report

import (
	"fmt"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// shownNames is how many subjects of one kind a sentence names.
const shownNames = 5

// sentence puts the subjects in front of the message: several of one kind by their number
// and the first names.
func sentence(n *cause.Node) string { return naming(n, shownNames) }

// brief is the same without the further names.
func brief(n *cause.Node) string { return naming(n, 1) }

func naming(n *cause.Node, most int) string {
	subject := n.Subject.String()
	switch n.Subject {
	case facts.Cluster():
		subject = "The cluster"
	case facts.ClusterDNS():
		subject = "Cluster DNS"
	}
	names := []string{n.Subject.Key()}
	for _, r := range n.More {
		names = append(names, r.Key())
	}
	if len(names) > 1 {
		subject += fmt.Sprintf(" (and %s more", Count1000(len(names)-1))
		if most > 1 {
			subject += ": " + strings.Join(names[1:min(len(names), most)], ", ")
		}
		if most > 1 && len(names) > most {
			subject += ", …"
		}
		subject += ")"
	}
	return Clean(subject + " " + n.Message)
}
