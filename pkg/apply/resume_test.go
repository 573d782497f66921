package apply_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
)

// A repair that is killed, carried on and killed again can be brought to either end: its
// entry never is more than one write behind.
func TestResumeKilled(t *testing.T) {
	const writes = 7 // of a repair in three steps
	for first := range writes - 1 {
		for again := range writes - 1 - first {
			for _, forward := range []bool{true, false} {
				t.Run(fmt.Sprintf("after %d, then after %d, forward %t", first, again, forward), func(t *testing.T) {
					s, objects, p := three(t)
					killed(t, s, first, true, func() { _, _ = s.applier(t).Apply(t.Context(), p, nil) })
					killed(t, s, again, true, func() { _ = s.applier(t).Resume(t.Context(), only(t, s.applier(t))) })
					a := s.applier(t)
					finish(t, s, a, only(t, a), objects, forward)
				})
			}
		}
	}
}

// Where the journal does not take what it lacks, nothing more is written.
func TestResumeWithoutJournal(t *testing.T) {
	s, objects, p := three(t)
	killed(t, s, 1, true, func() { _, _ = s.applier(t).Apply(t.Context(), p, nil) })
	s.before = on("PUT journal", refusal(http.StatusForbidden, metav1.StatusReasonForbidden))
	a := s.applier(t)
	if err := a.Resume(t.Context(), only(t, a)); !strings.Contains(errText(err), "nothing was carried on") {
		t.Errorf("got error %v", err)
	}
	same(t, "texts", []string{"new breakfast", "old lunch", "old dinner"}, texts(s, objects))
	same(t, "entry", []apply.State{apply.Pending}, s.entries(t))
}
