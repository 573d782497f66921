package apply_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
)

// Without an answer, or with one that does not say no, the write may stand.
func TestUnansweredWriteStaysPending(t *testing.T) {
	tests := []struct {
		name string
		fail func(s *server)
	}{
		{"connection cut after the write", func(s *server) {
			s.after = func(line string) {
				if line == "PATCH configmaps/lunch" {
					panic(http.ErrAbortHandler)
				}
			}
		}},
		{"connection cut before the write", func(s *server) {
			s.before = func(line string) *metav1.Status {
				if line == "PATCH configmaps/lunch" {
					panic(http.ErrAbortHandler)
				}
				return nil
			}
		}},
		{"time-out of the server", func(s *server) {
			s.before = on("PATCH configmaps/lunch", refusal(http.StatusGatewayTimeout, metav1.StatusReasonTimeout))
		}},
		{"time-out of etcd", func(s *server) {
			s.before = on("PATCH configmaps/lunch", refusal(http.StatusInternalServerError, metav1.StatusReasonInternalError))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, objects, p := three(t)
			tt.fail(s)
			a := s.applier(t)
			r, err := a.Apply(t.Context(), p, nil)
			if err == nil || !strings.Contains(err.Error(), "changing ConfigMap shop/lunch: ") {
				t.Errorf("got error %v", err)
			}
			if r == nil || r.State != apply.Pending || !r.Open() {
				t.Fatalf("got %+v, want a pending repair", r)
			}
			known := []string{"POST journal", "PATCH configmaps/breakfast", "PUT journal"}
			if more := s.writes()[len(known):]; len(more) > 1 || len(more) == 1 && more[0] != "PATCH configmaps/lunch" {
				t.Errorf("%v although it is not known how things stand", more)
			}
			same(t, "entry", []apply.State{apply.Pending}, s.entries(t))

			s.behave()
			list, err := a.Journal.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.PreviewUndo(t.Context(), list[0], false); err != nil {
				t.Error(err)
			}
			if err := a.Undo(t.Context(), list[0], false); err != nil {
				t.Error(err)
			}
			same(t, "texts after undo", oldTexts, texts(s, objects))
			same(t, "entry after undo", []apply.State{apply.Undone}, s.entries(t))
		})
	}
}

func TestNoJournalNoChange(t *testing.T) {
	tests := []struct {
		name string
		fail func(t *testing.T, s *server, a *apply.Applier)
	}{
		{"refused by a quota", func(_ *testing.T, s *server, _ *apply.Applier) {
			s.before = on("POST journal", refusal(http.StatusInternalServerError, metav1.StatusReasonInternalError))
		}},
		{"connection cut", func(_ *testing.T, s *server, _ *apply.Applier) {
			s.after = func(line string) {
				if line == "POST journal" {
					panic(http.ErrAbortHandler)
				}
			}
		}},
		{"forbidden, and no state directory", func(_ *testing.T, s *server, a *apply.Applier) {
			s.before = on("POST journal", refusal(http.StatusForbidden, metav1.StatusReasonForbidden))
			a.Journal.Dir = "/dev/null/state"
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, objects, p := three(t)
			a := s.applier(t)
			tt.fail(t, s, a)
			r, err := a.Apply(t.Context(), p, nil)
			if r != nil || !strings.Contains(errText(err), "nothing was changed") {
				t.Errorf("got %+v and error %v", r, err)
			}
			for _, line := range s.writes() {
				if line != "POST journal" {
					t.Errorf("%s without a journal", line)
				}
			}
			same(t, "texts", oldTexts, texts(s, objects))
		})
	}
}

// The changes stand when only the last word to the journal is lost: its entry is still
// there, and open.
func TestLastWordToTheJournalLost(t *testing.T) {
	s, objects, p := three(t)
	s.before = onNth("PUT journal", 3, refusal(http.StatusForbidden, metav1.StatusReasonForbidden))
	r, err := s.applier(t).Apply(t.Context(), p, nil)
	if !strings.Contains(errText(err), "the changes are made") || r == nil || !r.Open() {
		t.Errorf("got %+v and error %v", r, err)
	}
	same(t, "texts", newTexts, texts(s, objects))
	same(t, "entry", []apply.State{apply.Pending}, s.entries(t))
}

// Without a journal nothing goes on.
func TestJournalLostHalfWay(t *testing.T) {
	s, objects, p := three(t)
	s.before = on("PUT journal", refusal(http.StatusForbidden, metav1.StatusReasonForbidden))
	a := s.applier(t)
	if _, err := a.Apply(t.Context(), p, nil); !strings.Contains(errText(err), "writing the journal: ") {
		t.Errorf("got error %v", err)
	}
	same(t, "texts", oldTexts, texts(s, objects))
	s.behave()
	if err := a.Undo(t.Context(), only(t, a), false); err != nil {
		t.Error(err)
	}
	same(t, "texts after undo", oldTexts, texts(s, objects))
	same(t, "entry after undo", []apply.State{apply.Undone}, s.entries(t))
}

// An interrupt lets the write under way come to its end; then all is taken back.
func TestInterrupted(t *testing.T) {
	s, objects, p := three(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.before = func(line string) *metav1.Status {
		if line == "PATCH configmaps/lunch" {
			cancel()
		}
		return nil
	}
	r, err := s.applier(t).Apply(ctx, p, nil)
	if !errors.Is(err, apply.ErrInterrupted) {
		t.Errorf("got error %v", err)
	}
	if r.State != apply.RolledBack || r.Open() || r.Outcome != "interrupted" {
		t.Errorf("got %s: %s", r.State, r.Outcome)
	}
	same(t, "texts", oldTexts, texts(s, objects))
	same(t, "entry", []apply.State{apply.RolledBack}, s.entries(t))

	// Nor is anything begun once the context has ended.
	s, objects, p = three(t)
	if r, err := s.applier(t).Apply(ctx, p, nil); r != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v and error %v", r, err)
	}
	same(t, "texts", oldTexts, texts(s, objects))
	same(t, "requests", []string(nil), s.writes())
}
