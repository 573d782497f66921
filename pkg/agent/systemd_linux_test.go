package agent

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

func TestUnitRuns(t *testing.T) {
	t.Parallel()
	root := withSystemd(t, unit(picky, forEver))
	n := node{root: root}
	if err := n.unitRuns(t.Context(), "crio.service", ofUnit.Path); err == nil || err.Error() != "systemd has no crio.service on this node (not-found)" {
		t.Errorf("missing: got %v", err)
	}
	if err := n.unitRuns(t.Context(), "kubelet.service", ofUnit.Path); err == nil || err.Error() != "kubelet.service is inactive" {
		t.Errorf("inactive: got %v", err)
	}
	before := everything(t, filepath.Join(root, "run/kubelet"))
	if got := write(t, root, ofUnit, word(stub), word(servers)); got.Refused != "kubelet.service is inactive" {
		t.Errorf("inactive: got %+v", got)
	}
	unchanged(t, filepath.Join(root, "run/kubelet"), before)
	started(t, root)
	if err := n.unitRuns(t.Context(), "kubelet.service", ofUnit.Path); err != nil {
		t.Errorf("it runs: got %v", err)
	}
}

// TestRestart has a unit that stays up, and one whose configuration ends it.
func TestRestart(t *testing.T) {
	t.Parallel()
	root := withSystemd(t, unit(picky, forEver))
	started(t, root)
	first := mainProcess(t, root)
	done(t, write(t, root, ofUnit, word(stub), word(servers)), word(servers))
	second := mainProcess(t, root)
	if second == first {
		t.Error("it was not restarted")
	}
	before := everything(t, filepath.Join(root, "run/kubelet"))
	got := write(t, root, ofUnit, word(servers), word("/run/wrong.conf"))
	if !strings.HasPrefix(got.Refused, "kubelet.service did not stay up with it: ") || !strings.HasSuffix(got.Refused, "; it was put back") || !facts.Same(got.Now, word(servers)) {
		t.Errorf("got %+v with %s", got, said(got.Now))
	}
	unchanged(t, filepath.Join(root, "run/kubelet"), before)
	if third := mainProcess(t, root); third == second {
		t.Error("it was not restarted with what was put back")
	}
}

// TestWrittenNotRestarted: a pod that dies between writing and restarting leaves a value that is
// not in force, and must not pass for one.
func TestWrittenNotRestarted(t *testing.T) {
	t.Parallel()
	root := withSystemd(t, unit(picky, forEver))
	started(t, root)
	n := node{root: root, patience: restartTime}
	if _, err := n.set(ofUnit, word(stub), word(servers)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Change{
		{Setting: ofUnit}, {Setting: ofUnit.With(word(servers)), To: word(stub), Write: true}, {Setting: ofUnit.With(word(stub)), To: word(servers), Write: true},
	} {
		if got := n.change(t.Context(), c); !strings.Contains(got.Refused, "systemctl restart kubelet.service, then repeat") {
			t.Errorf("%+v: got %+v", c, got)
		}
	}
	if err := n.restart(t.Context(), "kubelet.service"); err != nil {
		t.Fatal(err)
	}
	if got := n.change(t.Context(), Change{Setting: ofUnit}); got.Refused != "" || !facts.Same(got.Now, word(servers)) {
		t.Errorf("after its restart: got %+v", got)
	}
}

// TestRestartThatFailsTwice tells what is left where the old value does not help either.
func TestRestartThatFailsTwice(t *testing.T) {
	t.Parallel()
	root := withSystemd(t, unit("if test -e /run/up; then exit 1; fi", forEver))
	started(t, root)
	got := write(t, root, ofUnit, word(stub), word(servers))
	if !strings.Contains(got.Broken, "it was put back, and yet: ") || got.Refused != "" || !facts.Same(got.Now, word(stub)) {
		t.Errorf("got %+v with %s", got, said(got.Now))
	}
}

// TestRestartThatHangs: a unit that does not stop takes no longer than two time limits.
func TestRestartThatHangs(t *testing.T) {
	t.Parallel()
	root := withSystemd(t, unit(`trap "" TERM`, "while :; do sleep 1; done", "TimeoutStopSec=600"))
	started(t, root)
	n, begin := node{root: root, patience: 3 * time.Second}, time.Now()
	got := n.change(t.Context(), Change{Setting: ofUnit.With(word(stub)), To: word(servers), Write: true})
	if took := time.Since(begin); took > 2*n.patience+2*time.Second {
		t.Errorf("it took %s", took)
	}
	if !strings.Contains(got.Broken, "did not restart it in time") || !facts.Same(got.Now, word(stub)) {
		t.Errorf("got %+v with %s", got, said(got.Now))
	}
}

// TestRestartInterrupted puts back what it has begun.
func TestRestartInterrupted(t *testing.T) {
	t.Parallel()
	root := withSystemd(t, unit(picky, forEver))
	started(t, root)
	first := mainProcess(t, root)
	before := everything(t, filepath.Join(root, "run/kubelet"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			text, err := os.ReadFile(root + ofUnit.Path)
			if err != nil || strings.Contains(string(text), servers) {
				cancel()
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	got := ChangeNode(ctx, root, Change{Setting: ofUnit.With(word(stub)), To: word(servers), Write: true})
	if !strings.HasSuffix(got.Refused, "; it was put back") || !facts.Same(got.Now, word(stub)) {
		t.Errorf("got %+v with %s", got, said(got.Now))
	}
	unchanged(t, filepath.Join(root, "run/kubelet"), before)
	if mainProcess(t, root) == first {
		t.Error("it was not restarted with what was put back")
	}
}

// TestNoSystemd: no socket, one on which nobody answers, and one of somebody who does not end.
func TestNoSystemd(t *testing.T) {
	root := aNode(t, map[string]string{ofUnit.Path: aConfig})
	was := everything(t, root)
	if got := write(t, root, ofUnit, word(stub), word(servers)); got.Refused != "no systemd runs on this node" {
		t.Errorf("got %+v", got)
	}
	unchanged(t, root, was)
	if err := os.MkdirAll(filepath.Dir(root+systemdSocket), 0o755); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", root+systemdSocket)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	ended := make(chan *Changed, 1)
	go func() {
		ended <- ChangeNode(ctx, root, Change{Setting: ofUnit.With(word(stub)), To: word(servers), Write: true})
	}()
	select {
	case got := <-ended:
		if !strings.HasPrefix(got.Refused, "asking systemd: ") {
			t.Errorf("got %+v", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for a systemd that does not answer")
	}
	if text, err := os.ReadFile(root + ofUnit.Path); err != nil || string(text) != aConfig {
		t.Errorf("%v: %s", err, text)
	}
}
