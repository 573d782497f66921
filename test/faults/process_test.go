package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// orderVariable names the file with the order of a process of the tests' own.
const orderVariable = "NETDOCTOR_FAULTS_ORDER"

// order is what such a process does. The command itself cannot be killed while it changes
// nodes: it looks at them, and writes, by pods, which nobody runs here. So another process does
// what the command does, with package apply and the nodes' stand-in.
type order struct {
	Proxy, Dir string
	Do         string // fix, resume or undo

	Fix, Check string // and the plan of fix
	Subject    facts.Ref
	Changes    []fixes.Change
	Restarts   []apply.Restart
	Rollouts   []facts.Ref
}

// ownProcess returns the process that does what a command line asks for.
func (tr *trial) ownProcess(t *testing.T, ctx context.Context, args []string) *exec.Cmd {
	t.Helper()
	o := order{Proxy: tr.proxy.URL, Dir: tr.dir, Do: args[0]}
	if slices.Contains(args, "--resume") {
		o.Do = "resume"
	}
	if o.Do == "fix" {
		plan := tr.fresh()
		o.Fix, o.Check, o.Subject = plan.Fix.ID, plan.Finding.Check.ID, plan.Finding.Subject
		o.Changes, o.Rollouts = plan.Changes, plan.Rollouts
		for _, p := range plan.Restarts {
			o.Restarts = append(o.Restarts, apply.Restart{Namespace: p.Namespace, Name: p.Name, UID: types.UID(p.UID())})
		}
	}
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "order.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = []string{orderVariable + "=" + file}
	return cmd
}

// carryOut is that process.
func carryOut(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(data, &o); err != nil {
		return err
	}
	a, err := repairing(o.Proxy, o.Dir, new(impatient))
	if err != nil {
		return err
	}
	questions, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: o.Proxy})
	if err != nil {
		return err
	}
	a.Mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(questions))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if o.Do == "fix" {
		plan, err := o.plan()
		if err == nil {
			_, err = a.Apply(ctx, plan, nil)
		}
		return err
	}
	all, err := a.Journal.List(ctx)
	switch {
	case err != nil:
		return err
	case len(all) != 1:
		return fmt.Errorf("the journal has %d entries", len(all))
	case o.Do == "resume":
		return a.Resume(ctx, all[0])
	}
	return a.Undo(ctx, all[0], false)
}

func (o *order) plan() (fixes.Plan, error) {
	at := slices.IndexFunc(fixes.All(), func(f *fixes.Fix) bool { return f.ID == o.Fix })
	if at < 0 {
		return fixes.Plan{}, errors.New("no such fix")
	}
	fix := fixes.All()[at]
	i := slices.IndexFunc(fix.For, func(c *checks.Check) bool { return c.ID == o.Check })
	if i < 0 {
		return fixes.Plan{}, errors.New("no such check")
	}
	plan := fixes.Plan{Fix: fix, Finding: checks.Finding{Check: fix.For[i], Subject: o.Subject}, Changes: o.Changes, Rollouts: o.Rollouts}
	for _, r := range o.Restarts {
		plan.Restarts = append(plan.Restarts, &facts.Pod{Namespace: r.Namespace, Name: r.Name, Rare: &facts.Rare{UID: string(r.UID)}})
	}
	return plan, nil
}
