package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-netdoctor/netdoctor/test/plane"
)

// kills ends the process of the real command at some writes: after the first change, of
// which the journal does not know yet, and at one that is another for each fix.
func (tr *trial) kills(t *testing.T, n *count, writes []string) {
	t.Helper()
	deaths := Deaths()
	before, after := deaths[0], deaths[1]
	for _, at := range []struct {
		fault Fault
		nth   int
	}{{after, min(2, len(writes))}, {before, 1 + n.index%len(writes)}} {
		n.kills++
		if err := tr.kill(t, at.fault, at.nth); err != nil {
			t.Errorf("repair, write %d (%s): %s: %v", at.nth, writes[at.nth-1], at.fault.Name, err)
			continue
		}
		n.kept++
	}
}

// kill lets the command repair and be killed, then undo what is left.
func (tr *trial) kill(t *testing.T, fault Fault, nth int) error {
	t.Helper()
	tr.reset(t)
	repair := tr.command(t, append([]string{"fix", tr.plan.Finding.Check.ID, "--with", tr.fix.ID, "-y", "--no-verify"}, tr.flags(t)...)...)
	var out bytes.Buffer
	repair.Stdout, repair.Stderr = &out, &out
	if err := repair.Start(); err != nil {
		return err
	}
	tr.proxy.Arm(fault, nth, func() { _ = repair.Process.Kill() }) // long before the process is there
	err := repair.Wait()
	seen := tr.proxy.Disarm()
	if err == nil {
		return fmt.Errorf("the command ends well after %d writes:\n%s", len(seen), &out)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		return fmt.Errorf("the command did not get there, after %d writes: %w\n%s", len(seen), err, &out)
	}
	entry, wrong := tr.entry(t)
	if wrong == nil && (entry == nil || !entry.Open()) {
		return tr.is(t, tr.former, "the journal has "+told(entry))
	}
	if wrong != nil {
		return wrong
	}
	if said, err := tr.command(t, "undo", "-y").CombinedOutput(); err != nil {
		return fmt.Errorf("the journal has %s, but undo ends with %w:\n%s", told(entry), err, said)
	}
	if entry, wrong = tr.entry(t); wrong != nil || entry == nil || entry.Open() {
		return fmt.Errorf("after the undo the journal has %s: %w", told(entry), wrong)
	}
	return tr.is(t, tr.former, "it is undone")
}

// command returns a command line of the plugin as a process of its own.
func (tr *trial) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
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
