package e2e

import (
	"strings"
	"testing"
)

func sample() Results {
	return Results{Server: "v1.37.2", Nodes: 2, Seconds: 600, Faults: []Result{
		{Fault: "a-loop", Title: "it | loops", Want: "coredns-loop", Named: true, Seconds: 3.21, Fix: "kubectl netdoctor fix coredns-loop", Cured: true,
			Says: []Saying{{"coredns-loop", "error", "Deployment kube-system/coredns", "asks itself"}}},
		{Fault: "b-silent", Title: "nobody sees it", Seconds: 1},
		{Fault: "c-left", Title: "needs a node", Skipped: "needs a shell on the nodes"},
		{Fault: "d-wrong", Title: "is not named", Want: "x", Failure: "named y", Says: []Saying{
			{"y", "error", "Node n1", "is bad"}, {"y", "error", "Node n1", "is bad"}, {"z", "warning", "Cluster", "is odd"}}},
	}}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := sample().WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	want := `FAULT     NAMED     SECONDS  CHECK SAYS                  CURED  UNDONE
a-loop    yes       3.2      coredns-loop                yes    NO
b-silent  not yet   1.0      nothing                            
c-left    left out           needs a shell on the nodes         
d-wrong   FAILED    0.0      y, z                               
`
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", &b, want)
	}
}

func TestMarkdown(t *testing.T) {
	var b strings.Builder
	if err := sample().WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Kubernetes v1.37.2, 2 nodes, 4 faults, 10 minutes.",
		"| a-loop | it \\| loops | yes | 3.2 | `coredns-loop` | yes | NO |",
		"| b-silent | nobody sees it | not yet | 1.0 | nothing |  |  |",
		"| d-wrong | is not named | FAILED | 0.0 | `y`, `z` |  |  |",
		"* **a-loop**: Deployment kube-system/coredns asks itself (error).",
		"* **c-left**: left out: needs a shell on the nodes.",
		"* **d-wrong**: Node n1 is bad (error); Cluster is odd (warning).",
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("the page lacks the line %q:\n%s", want, &b)
		}
	}
}

func TestOpinion(t *testing.T) {
	loop := opinion{says: []Saying{{Check: "coredns-loop"}, {Check: "coredns-loop"}}, exit: 1}
	for _, tc := range []struct {
		name string
		o    opinion
		want []string
		ok   bool
	}{
		{"the one root", loop, []string{"coredns-loop"}, true},
		{"another", loop, []string{"dns-down"}, false},
		{"one too few", loop, []string{"coredns-loop", "dns-down"}, false},
		{"healthy", opinion{}, nil, true},
		{"nothing is expected", loop, nil, false},
		{"unknown answers", opinion{exit: 3}, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.o.is(tc.want); (err == nil) != tc.ok {
				t.Errorf("is(%q) = %v", tc.want, err)
			}
		})
	}
}

func TestObjectsDiffer(t *testing.T) {
	before := objects{"a": "1", "b": "2"}
	if err := before.differ(objects{"a": "1", "b": "2", "journal": "3"}); err != nil {
		t.Error(err)
	}
	for name, now := range map[string]objects{"changed": {"a": "1", "b": "3"}, "gone": {"a": "1"}} {
		if before.differ(now) == nil {
			t.Errorf("%s: no difference is seen", name)
		}
	}
}
