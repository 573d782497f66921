package study

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	const text = "# Head\n\n<!-- break ice -->\n\nText.\n\n```console\n$ kubectl get nodes\nNAME …\nnode1# ls /tmp\n$ true\n```\n<!-- mend ice -->\n"
	want := []Step{
		{Line: 3, Break: "ice"},
		{Line: 8, Command: "kubectl get nodes", Want: []string{"NAME …"}},
		{Line: 10, Node: "node1", Command: "ls /tmp"},
		{Line: 11, Command: "true"},
		{Line: 13, Mend: "ice"},
	}
	got, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"output first":  "```console\nNAME\n```\n",
		"open block":    "```console\n$ true\n",
		"other comment": "<!-- brake ice -->\n",
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		name, want, output string
		is                 bool
	}{
		{"nothing", "", "", true},
		{"nothing shown", "", "x\n", false},
		{"gaps", "a  b", "a b   \n", true},
		{"other word", "a b", "a c\n", false},
		{"anything within", "node1 … Ready", "node1   v1   Ready\n", true},
		{"anything at the end may be nothing", "node1 Ready …", "node1 Ready\n", true},
		{"part of a word", "coredns-… 1/1", "coredns-6f-x 1/1\n", true},
		{"wrong state", "coredns-… 1/1", "coredns-6f-x 0/1\n", false},
		{"lines between", "a\n…\nd", "a\nb\nc\nd\n", true},
		{"lines after", "a\n…", "a\n", true},
		{"more lines than shown", "a", "a\nb\n", false},
		{"fewer lines than shown", "a\nb", "a\n", false},
		{"kubectl run could not attach in time", "Name: x", "Name: x\n\nwarning: couldn't attach to pod/a, falling back to streaming logs: no\n", true},
		{"special characters", `a.b ["x"]`, "a.b [\"x\"]\n", true},
		{"special characters are no pattern", "a.b", "axb\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s Step
			if tt.want != "" {
				s.Want = strings.Split(tt.want, "\n")
			}
			if got := s.Matches(tt.output); got != tt.is {
				t.Errorf("got %v, want %v", got, tt.is)
			}
		})
	}
}

func TestReads(t *testing.T) {
	for command, want := range map[string]bool{
		"kubectl get nodes": true, "kubectl -n kube-system logs -l a=b": true, "kubectl -n x rollout status deployment y": true,
		"kubectl -n x patch service y -p '{}'": false, "kubectl get cm x -o yaml | kubectl replace -f -": false, "kubectl -n x rollout undo deployment y": false,
	} {
		if got := (Step{Command: command}).Reads(); got != want {
			t.Errorf("%s: got %v, want %v", command, got, want)
		}
	}
}

// The document itself can be read, and leaves no fault behind.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../../docs/STUDY.md")
	if err != nil {
		t.Fatal(err)
	}
	steps, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	broken, commands := "", 0
	for _, s := range steps {
		switch {
		case s.Break != "" && broken != "":
			t.Errorf("line %d: fault %s while %s is there", s.Line, s.Break, broken)
		case s.Break != "":
			broken = s.Break
		case s.Mend != "" && s.Mend != broken:
			t.Errorf("line %d: %s is not there", s.Line, s.Mend)
		case s.Mend != "":
			broken = ""
		default:
			commands++
		}
	}
	if broken != "" || commands == 0 {
		t.Errorf("fault %q stays behind; %d commands", broken, commands)
	}
}
