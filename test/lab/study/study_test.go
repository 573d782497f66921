package study

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/cluster"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/faults"
)

const (
	patience = 90 * time.Second // for a cluster to come to what is shown
	pause    = 500 * time.Millisecond
)

// TestStudy does on a lab what docs/STUDY.md tells its readers to do.
func TestStudy(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short: it needs a lab")
	}
	if missing := cluster.Requirements(); len(missing) > 0 {
		t.Skipf("this machine cannot run a lab: %s", strings.Join(missing, "; "))
	}
	text, err := os.ReadFile("../../../docs/STUDY.md")
	if err != nil {
		t.Fatal(err)
	}
	steps, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	opts := cluster.Options{Name: "study", Progress: os.Stderr}
	if os.Getenv("LAB_KEEP") == "" {
		if err := cluster.Down(t.Context(), opts); err != nil { // what a run that was killed left
			t.Fatal(err)
		}
	}
	lab, err := cluster.Up(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if os.Getenv("LAB_KEEP") != "" {
			return // for the one who writes the document
		}
		if err := lab.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, s := range steps {
		if err := do(t.Context(), lab, s); err != nil {
			t.Fatalf("docs/STUDY.md:%d: %v", s.Line, err)
		}
	}
}

func do(ctx context.Context, lab *cluster.Cluster, s Step) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch {
	case s.Break != "":
		f, found := faults.Named(s.Break)
		if !found {
			return fmt.Errorf("there is no fault %q", s.Break)
		}
		if err := f.Break(ctx, lab); err != nil {
			return err
		}
		return until(ctx, func(ctx context.Context) error { return f.Shown(ctx, lab) })
	case s.Mend != "":
		f, found := faults.Named(s.Mend)
		if !found {
			return fmt.Errorf("there is no fault %q", s.Mend)
		}
		if err := f.Mend(ctx, lab); err != nil {
			return err
		}
		return until(ctx, func(ctx context.Context) error { return ready(ctx, lab) })
	case s.Reads():
		return until(ctx, func(ctx context.Context) error { return run(ctx, lab, s) })
	}
	return run(ctx, lab, s)
}

// run types the command once.
func run(ctx context.Context, lab *cluster.Cluster, s Step) error {
	where := s.Node
	if where == "" {
		where = cluster.ControlPlane
	}
	out, err := lab.Exec(ctx, where, "bash", "-o", "pipefail", "-c", s.Command)
	if err != nil {
		return err
	}
	if !s.Matches(out) {
		return fmt.Errorf("%s\nprints\n%s\nand not, as it is shown,\n%s", s.Command, out, strings.Join(s.Want, "\n"))
	}
	return nil
}

// ready returns nil when every node and every pod of the system is.
func ready(ctx context.Context, lab *cluster.Cluster) error {
	for _, what := range [][]string{{"nodes"}, {"-n", "kube-system", "pods"}, {"-n", "kube-flannel", "pods"}} {
		args := append([]string{"wait", "--for=condition=Ready", "--timeout=5s", "--all"}, what...)
		if _, err := lab.Kubectl(ctx, "", args...); err != nil {
			return err
		}
	}
	return nil
}

// until asks again and again until there is no error, and returns the last one when the
// time is over.
func until(ctx context.Context, ask func(context.Context) error) error {
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}
