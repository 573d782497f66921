package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/faults"
)

// own are the kinds of which the doctor's pods could need objects. The journal of repairs,
// which stays, is in ConfigMaps.
const own = "namespaces,serviceaccounts,jobs.batch,pods,secrets,clusterroles,clusterrolebindings,roles,rolebindings"

// deepCheck asks the doctor with pods, and whether it left anything behind.
func (s *suite) deepCheck(ctx context.Context, depth string) (opinion, error) {
	o, err := s.doctor.check(ctx, "--depth", depth, "--image", doctorImage)
	if err != nil {
		return o, err
	}
	left, err := s.lab.Kubectl(ctx, "", "get", own, "-A", "-l", "app.kubernetes.io/managed-by=kubectl-netdoctor", "-o", "name")
	if err != nil {
		return o, err
	}
	if left = strings.TrimSpace(left); left != "" {
		return o, fmt.Errorf("the doctor left behind %s", left)
	}
	return o, nil
}

// lookDeeper lets pods look at a fault, where they see more of it.
func (s *suite) lookDeeper(ctx context.Context, f *faults.Fault, r *Result) error {
	if f.Deep == "" || !s.shell {
		return nil
	}
	return eventually(ctx, namedWithin, func() error {
		o, err := s.deepCheck(ctx, f.Depth)
		if err != nil {
			return err
		}
		r.Deeper = append([]Saying{}, o.says...)
		if err := o.is([]string{f.Deep}); err != nil {
			return fmt.Errorf("at depth %s: %w", f.Depth, err)
		}
		r.Named = true
		return nil
	})
}

// deepHealthy looks at the healthy cluster with pods: nothing is found, everything was
// looked at, and nothing is left behind.
func (s *suite) deepHealthy(t *testing.T) {
	if !s.shell {
		t.Skip("the doctor's image cannot be brought to the nodes of this cluster")
	}
	for _, depth := range []string{"probe", "host"} {
		err := eventually(t.Context(), healthyWithin, func() error {
			o, err := s.deepCheck(t.Context(), depth)
			if err == nil {
				err = o.is(nil)
			}
			return err
		})
		if err != nil {
			t.Errorf("the healthy cluster at depth %s: %v", depth, err)
			s.save(t, "healthy-"+depth)
		}
	}
}
