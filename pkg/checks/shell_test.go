package checks_test

import (
	"os/exec"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
)

// TestCommand lets a shell read what stands in the cluster: each text must come out as the
// one word that it was, and nothing of it be done.
func TestCommand(t *testing.T) {
	tests := []struct{ word, want string }{
		{"coredns", "coredns"},
		{"system:coredns", "system:coredns"},
		{"10.96.0.10", "10.96.0.10"},
		{"", "''"},
		{"a b", "'a b'"},
		{"x;id", "'x;id'"},
		{"$(id)", "'$(id)'"},
		{"it's", `'it'\''s'`},
		{"--all", "'--all'"},
		{"*", "'*'"},
		{"~root", "'~root'"},
		{`{"spec":{"type":"ClusterIP"}}`, `'{"spec":{"type":"ClusterIP"}}'`},
	}
	for _, tt := range tests {
		if got := checks.ShellWord(tt.word); got != tt.want {
			t.Errorf("ShellWord(%q): got %s, want %s", tt.word, got, tt.want)
		}
		out, err := exec.Command("sh", "-c", checks.Command("printf '<%%s>' %s end", tt.word)).Output()
		if want := "<" + tt.word + "><end>"; err != nil || string(out) != want {
			t.Errorf("a shell read %q as %s (%v), want %s", tt.word, out, err, want)
		}
	}
}
