package agent

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

func written(t *testing.T, r *Result) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func sample() *Result {
	return &Result{
		Version: ResultVersion, Node: "rack7-b", Files: map[string]string{"/etc/resolv.conf": "nameserver 192.0.2.1\n", "/dmesg": strings.Repeat("x\n", 40000)},
		Gaps:  map[string]string{"/proc/modules": "permission denied"},
		Tries: []facts.Try{{Node: "rack7-b", Kind: facts.TryTCP, To: "[2001:db8::1]:443", Target: facts.TargetAPIService, Sent: 3}},
	}
}

func TestResultTravels(t *testing.T) {
	got, err := Read(strings.NewReader(written(t, sample())))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Errorf("-sent +came:\n%s", diff)
	}
}

// TestResultIsWholeOrNone cuts and changes what travels.
func TestResultIsWholeOrNone(t *testing.T) {
	text := written(t, sample())
	lines := strings.SplitAfter(text, "\n")
	for name, sent := range map[string]string{
		"nothing":         "",
		"cut off":         text[:len(text)-40],
		"head alone":      lines[0],
		"a line is gone":  lines[0] + strings.Join(lines[2:], ""),
		"something mixed": lines[0] + "panic: out of memory\n" + strings.Join(lines[1:], ""),
		"a later version": strings.Replace(text, "netdoctor-result 1 ", "netdoctor-result 2 ", 1),
		"no result":       "exec /kubectl-netdoctor: exec format error\n",
		"one byte":        text[:len(text)-40] + string(text[len(text)-40]^1) + text[len(text)-39:],
	} {
		if r, err := Read(strings.NewReader(sent)); err == nil {
			t.Errorf("%s: it is taken for %v", name, r)
		}
	}
}

// TestResultIsBounded sends more than may be sent: the largest file stays behind, and the
// gap says so.
func TestResultIsBounded(t *testing.T) {
	noise := make([]byte, mostPacked)
	_, _ = rand.Read(noise)
	r := sample()
	r.Files["/iptables-save"] = hex.EncodeToString(noise)
	got, err := Read(strings.NewReader(written(t, r)))
	if err != nil {
		t.Fatal(err)
	}
	if got.Files["/iptables-save"] != "" || !strings.Contains(got.Gaps["/iptables-save"], "too large") || got.Files["/etc/resolv.conf"] == "" {
		t.Errorf("what came: gaps %v, %d files", got.Gaps, len(got.Files))
	}
}

// FuzzRead feeds what a hostile node could print.
func FuzzRead(f *testing.F) {
	var out bytes.Buffer
	if err := sample().Write(&out); err != nil {
		f.Fatal(err)
	}
	f.Add(out.String())
	f.Add("netdoctor-result 1 0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n")
	f.Fuzz(func(_ *testing.T, text string) {
		if r, err := Read(strings.NewReader(text)); err == nil && r == nil {
			panic("neither a result nor an error")
		}
	})
}
