package checks_test

import (
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// sound makes a check that Validate has nothing to say about.
func sound(id string, explains ...*checks.Check) *checks.Check {
	return &checks.Check{
		ID: id, Title: "Routers route", Doc: "What it means.", Severity: checks.Warning, Needs: []*facts.Source{facts.Nodes},
		ByHand: []string{"kubectl get nodes"}, Run: func(*facts.Snapshot) []checks.Finding { return nil }, Explains: explains,
	}
}

func TestValidate(t *testing.T) {
	with := func(change func(*checks.Check)) []*checks.Check {
		c := sound("router-lost")
		change(c)
		return []*checks.Check{c}
	}
	ring := func(n int) []*checks.Check {
		var list []*checks.Check
		for i := range n {
			list = append(list, sound("ring-"+string(rune('a'+i))))
		}
		for i, c := range list {
			c.Explains = []*checks.Check{list[(i+1)%n]}
		}
		return list
	}
	leaf, outsider := sound("leaf-wet"), sound("leaf-dry")
	left, right := sound("branch-left", leaf), sound("branch-right", leaf)
	intoRing := ring(2)
	id := func(id string) []*checks.Check { return with(func(c *checks.Check) { c.ID = id }) }
	const (
		form    = `check %q: the id must be lower-case words joined by hyphens`
		unset   = `check "router-lost": Title, Doc, Severity, Needs and Run must be set`
		circled = `: explains itself`
	)
	formed := func(id string) []string { return []string{strings.Replace(form, "%q", `"`+id+`"`, 1)} }
	tests := []struct {
		name string
		list []*checks.Check
		want []string
	}{
		{name: "empty list"},
		{name: "sound", list: with(func(*checks.Check) {})},
		{name: "two ways to one symptom", list: []*checks.Check{sound("trunk-cut", left, right), left, right, leaf}},
		{name: "digits in the id", list: id("ipv6-route-2")},
		{name: "no id", list: id(""), want: formed("")},
		{name: "upper case in the id", list: id("Router-lost"), want: formed("Router-lost")},
		{name: "underscore in the id", list: id("router_lost"), want: formed("router_lost")},
		{name: "space in the id", list: id("router-lost "), want: formed("router-lost ")},
		{name: "hyphens at the ends of the id", list: id("-router-"), want: formed("-router-")},
		{name: "two hyphens in the id", list: id("router--lost"), want: formed("router--lost")},
		{name: "id twice", list: []*checks.Check{sound("router-lost"), sound("router-late"), sound("router-lost")},
			want: []string{`check "router-lost": the id stands twice in the list`}},
		{name: "check twice", list: []*checks.Check{leaf, leaf}, want: []string{`check "leaf-wet": the id stands twice in the list`}},
		{name: "no title", list: with(func(c *checks.Check) { c.Title = "" }), want: []string{unset}},
		{name: "no doc", list: with(func(c *checks.Check) { c.Doc = "" }), want: []string{unset}},
		{name: "no severity", list: with(func(c *checks.Check) { c.Severity = 0 }), want: []string{unset}},
		{name: "no needs", list: with(func(c *checks.Check) { c.Needs = nil }), want: []string{unset}},
		{name: "no run", list: with(func(c *checks.Check) { c.Run = nil }), want: []string{unset}},
		{name: "no commands", list: with(func(c *checks.Check) { c.ByHand = nil }),
			want: []string{`check "router-lost": ByHand must name the commands that show the same`}},
		{name: "explains what is not in the list", list: []*checks.Check{sound("trunk-cut", leaf, outsider), leaf},
			want: []string{`check "trunk-cut": explains "leaf-dry", which is not in the list`}},
		{name: "explains another of the same id", list: []*checks.Check{sound("trunk-cut", sound("leaf-wet")), leaf},
			want: []string{`check "trunk-cut": explains "leaf-wet", which is not in the list`}},
		{name: "explains itself", list: ring(1), want: []string{`check "ring-a"` + circled}},
		{name: "explain each other", list: ring(2), want: []string{`check "ring-a"` + circled, `check "ring-b"` + circled}},
		{name: "circle of three", list: ring(3),
			want: []string{`check "ring-a"` + circled, `check "ring-b"` + circled, `check "ring-c"` + circled}},
		{name: "leads into a circle", list: append(intoRing, sound("trunk-cut", intoRing[0])),
			want: []string{`check "ring-a"` + circled, `check "ring-b"` + circled}},
		{name: "every fault is told", list: []*checks.Check{{ID: "X"}, {ID: "X"}}, want: []string{
			formed("X")[0], `check "X": Title, Doc, Severity, Needs and Run must be set`, `check "X": ByHand must name the commands that show the same`,
			formed("X")[0], `check "X": Title, Doc, Severity, Needs and Run must be set`, `check "X": ByHand must name the commands that show the same`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := checks.Validate(tt.list); err != nil {
				got = err.Error()
			}
			if want := strings.Join(tt.want, "\n"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
