package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/test/plane"
)

// death is the end of a process that repairs, takes back or carries on.
type death struct {
	what    string
	writes  []string // that it would make
	fault   Fault
	nth     int
	command []string
	lead    func() error // to where the command begins
	end     []string     // the command that brings what is left to an end
}

// kills ends the process of the real command, or of one in its stead (order), at some writes: of a repair and of its undo
// after the first change, of which the journal does not know yet, and at one that is
// another for each fix; of fix --resume at one that is another for each.
func (tr *trial) kills(t *testing.T, n *count, repair, undo []string) {
	t.Helper()
	for _, d := range tr.deaths(t, n.index, repair, undo) {
		n.kills++
		if err := tr.kill(t, d); err != nil {
			t.Errorf("%s, write %d (%s): %s: %v", d.what, d.nth, d.writes[d.nth-1], d.fault.Name, err)
			continue
		}
		n.kept++
	}
}

var (
	undoing  = []string{"undo", "-y"}
	resuming = []string{"fix", "--resume", "-y", "--no-verify"}
)

func (tr *trial) deaths(t *testing.T, index int, repair, undo []string) []death {
	t.Helper()
	kinds := Deaths()
	before, after := kinds[0], kinds[1]
	digest, err := apply.Digest(tr.plan) // else the command repairs all that it finds
	if err != nil {
		t.Fatal(err)
	}
	repairing := append([]string{"fix", tr.plan.Finding.Check.ID, "--with", tr.fix.ID, "-y", "--confirm", digest, "--no-verify"}, tr.flags(t)...)
	sick := func() error { tr.reset(t); return nil }
	repaired := func() error {
		tr.reset(t)
		_, err := tr.applier.Apply(t.Context(), tr.fresh(), nil)
		return err
	}

	// Of the halves, their writes and the two deaths each fix has another combination.
	rest := index
	turn := func(of int) int { now := rest % of; rest /= of; return now }
	h := tr.left[turn(len(tr.left))]
	stopped := func() error { _, err := tr.leave(t, h); return err }
	nth := 1 + turn(len(h.writes))
	died, end := kinds[turn(len(kinds))], resuming
	if index%3 == 0 {
		end = undoing
	}
	return []death{
		{"repair", repair, after, min(2, len(repair)), repairing, sick, undoing},
		{"repair", repair, before, 1 + index%len(repair), repairing, sick, undoing},
		{"undo", undo, after, min(2, len(undo)), undoing, repaired, undoing},
		{"undo", undo, before, 1 + index%len(undo), undoing, repaired, resuming},
		{h.name + ", taken up again", h.writes, died, nth, resuming, stopped, end},
	}
}

var errKilled = errors.New("it was killed")

// kill lets a command be killed, then another one bring what is left to an end.
func (tr *trial) kill(t *testing.T, d death) error {
	t.Helper()
	if err := d.lead(); err != nil {
		return err
	}
	victim := tr.command(t, d.command...)
	var out bytes.Buffer
	victim.Stdout, victim.Stderr = &out, &out
	if err := victim.Start(); err != nil {
		return err
	}
	tr.proxy.Arm(d.fault, d.nth, func() { _ = victim.Process.Kill() }) // long before the process is there
	err := victim.Wait()
	tr.seen = tr.proxy.Disarm()
	if err == nil {
		return fmt.Errorf("the command ends well after %d writes:\n%s", len(tr.seen), &out)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || len(tr.seen) < d.nth {
		return fmt.Errorf("the command did not get there, after %d writes: %w\n%s", len(tr.seen), err, &out)
	}
	entry, wrong := tr.judge(t, errKilled, "")
	if wrong != nil || entry == nil || !entry.Open() {
		return wrong
	}
	if !entry.Half() {
		d.end = undoing // there is nothing to carry on
	}
	return tr.bring(t, entry, d.end)
}

// bring has a command bring what is left of a repair to an end.
func (tr *trial) bring(t *testing.T, entry *apply.Repair, end []string) error {
	t.Helper()
	if said, err := tr.command(t, end...).CombinedOutput(); err != nil {
		return fmt.Errorf("the journal has %s, but %s ends with %w:\n%s", told(entry), strings.Join(end, " "), err, said)
	}
	if end[0] == undoing[0] {
		return tr.undone(t)
	}
	back := entry.State == apply.TakingBack
	if err := tr.resumed(t, back); err != nil || back {
		return err
	}
	entry, err := tr.entry(t)
	if err != nil {
		return err
	}
	return tr.undo(t, entry)
}

// command returns a command line of the plugin as a process of its own, or, where nodes are
// changed, one of the tests' that does the same.
func (tr *trial) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	if len(tr.settings) > 0 {
		return tr.ownProcess(t, ctx, args)
	}
	cmd := exec.CommandContext(ctx, plane.Program("kubectl-netdoctor"), append(args, "--kubeconfig", tr.kubeconfig(t))...)
	cmd.Env = []string{"HOME=" + tr.dir, "XDG_STATE_HOME=" + tr.dir, "PATH=" + os.Getenv("PATH")}
	return cmd
}

// kubeconfig writes one that leads to the proxy.
func (tr *trial) kubeconfig(t *testing.T) string {
	t.Helper()
	const name = "faults"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: tr.proxy.URL}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name}
	config.CurrentContext = name
	file := filepath.Join(filepath.Dir(tr.dir), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// flags returns what the command must be told for the plan.
func (tr *trial) flags(t *testing.T) []string {
	t.Helper()
	var out []string
	p := tr.state.params
	for _, server := range p.Upstreams {
		out = append(out, "--upstream", server)
	}
	if p.AcceptRisk {
		out = append(out, "--accept-risk")
	}
	for flag, value := range map[string]string{"--plugin": p.Plugin, "--pod-cidr": p.PodCIDR, "--interface": p.Interface} {
		if value != "" {
			out = append(out, flag, value)
		}
	}
	if p.Manifest != "" {
		file := filepath.Join(t.TempDir(), "manifest.yaml")
		if err := os.WriteFile(file, []byte(p.Manifest), 0o600); err != nil {
			t.Fatal(err)
		}
		out = append(out, "--manifest", file)
	}
	if o := tr.plan.Owner; o != nil && o.Reverts {
		out = append(out, "--force")
	}
	return out
}
