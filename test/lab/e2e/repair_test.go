package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/faults"
)

// repair proves that the dry run changes nothing, the fix cures, and undo
// brings the objects back, and the fault with them.
func (s *suite) repair(ctx context.Context, f *faults.Fault, r *Result) error {
	args, err := s.fixArgs(f)
	if err != nil {
		return err
	}
	r.Fix = "kubectl netdoctor fix " + strings.Join(args, " ")
	undo := []string{"undo", "-y"}
	if slices.Contains(args, "--allow-node-changes") {
		if !s.shell {
			return nil // the doctor's image cannot be brought to its nodes
		}
		args, undo = append(args, "--image", doctorImage), append(undo, "--allow-node-changes", "--image", doctorImage)
	}
	fix := append([]string{"fix"}, args...)
	if f.Deep != "" { // pods have looked at it, and may have mended it
		if err := bounded(ctx, s.lab, f.Again); err != nil {
			return err
		}
	}
	if err := s.dryRun(ctx, append(slices.Clone(fix), "--dry-run")); err != nil {
		return err
	}
	before, err := readObjects(ctx, s.lab, false)
	if err != nil {
		return err
	}
	if err := s.doctor.succeed(ctx, append(slices.Clone(fix), "-y")...); err != nil {
		return err
	}
	if err := s.awaitHealthyPods(ctx); err != nil {
		return fmt.Errorf("after the fix: %w", err)
	}
	r.Cured = true
	if err := s.undo(ctx, f, undo, before); err != nil {
		return err
	}
	r.Undone = true
	return nil
}

// fixArgs are those of a fault with the cluster's own DNS server in place of
// the lab's.
func (s *suite) fixArgs(f *faults.Fault) ([]string, error) {
	args := slices.Clone(f.Fix)
	for i := range args {
		if args[i] == faults.Upstream && s.upstream == "" {
			return nil, fmt.Errorf("which DNS server may CoreDNS forward to here? Name it with %s", envUpstream)
		}
		if args[i] == faults.Upstream {
			args[i] = s.upstream
		}
	}
	return args, nil
}

func (s *suite) dryRun(ctx context.Context, fix []string) error {
	before, err := readObjects(ctx, s.lab, true)
	if err != nil {
		return err
	}
	if err := s.doctor.succeed(ctx, fix...); err != nil {
		return err
	}
	after, err := readObjects(ctx, s.lab, true)
	if err != nil {
		return err
	}
	if len(after) != len(before) {
		return fmt.Errorf("the dry run left %d objects of %d", len(after), len(before))
	}
	if err := before.differ(after); err != nil {
		return fmt.Errorf("after the dry run: %w", err)
	}
	return nil
}

// awaitHealthyPods waits until pods get what they need, whatever the doctor
// says.
func (s *suite) awaitHealthyPods(ctx context.Context) error {
	return eventually(ctx, healthyWithin, func() error { return probe(ctx, s.lab) })
}

func (s *suite) undo(ctx context.Context, f *faults.Fault, undo []string, before objects) error {
	if err := s.doctor.succeed(ctx, undo...); err != nil {
		return err
	}
	after, err := readObjects(ctx, s.lab, false)
	if err != nil {
		return err
	}
	if err := before.differ(after); err != nil {
		return fmt.Errorf("after undo: %w", err)
	}
	if err := bounded(ctx, s.lab, f.Again); err != nil {
		return fmt.Errorf("after undo: %w", err)
	}
	if err := eventually(ctx, shownWithin, func() error { return f.Shown(ctx, s.lab) }); err != nil {
		return fmt.Errorf("after undo the fault is not back: %w", err)
	}
	again := Result{}
	if err := s.awaitNamed(ctx, f, &again); err != nil {
		return fmt.Errorf("after undo: %w", err)
	}
	return nil
}
