package cmd

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

func oven(image string) *appsv1.Deployment {
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "bakery", Name: "oven", ResourceVersion: "8"},
		Spec:       appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "oven", Image: image}}}}},
	}
}

// What the snapshot keeps in part is read whole, and the plan is made of that.
func TestPlanReadsWhole(t *testing.T) {
	answered := 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/apis/apps/v1/namespaces/bakery/deployments/oven" || answered < 0 {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		answered++
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(oven("whole"))
	}))
	defer web.Close()
	b := facts.NewBuilder(time.Now(), "", facts.API)
	if err := b.Add(oven("in part")); err != nil {
		t.Fatal(err)
	}
	s := b.Build()
	check := &checks.Check{ID: "c"}
	fix := &fixes.Fix{ID: "f", For: []*checks.Check{check}, Plan: func(s *facts.Snapshot, _ checks.Finding, _ fixes.Params) (fixes.Plan, error) {
		d := s.Deployment("bakery", "oven")
		if facts.InPart(d) {
			return fixes.Plan{}, &fixes.InPartError{Ref: facts.Ref{Kind: "Deployment", Namespace: "bakery", Name: "oven"}}
		}
		return fixes.Plan{Manual: []string{d.Spec.Template.Spec.Containers[0].Image}}, nil
	}}
	o := &fixCommand{examination: examination{cluster: newCluster(Env{Now: time.Now, Getenv: func(string) string { return t.TempDir() }})}}
	o.flags.APIServer = &web.URL
	plan, err := o.plan(t.Context(), s, fix, checks.Finding{Check: check})
	if err != nil || answered != 1 || !slices.Equal(plan.Manual, []string{"whole"}) {
		t.Errorf("got %v and error %v after %d reads", plan.Manual, err, answered)
	}
	if !facts.InPart(s.Deployment("bakery", "oven")) {
		t.Error("the snapshot was changed")
	}

	answered = -1
	if _, err := o.plan(t.Context(), s, fix, checks.Finding{Check: check}); err == nil || !strings.Contains(err.Error(), "reading Deployment bakery/oven whole: ") {
		t.Errorf("got error %v, want that it could not be read", err)
	}
	o.from = "bundle"
	var part *fixes.InPartError
	if _, err := o.plan(t.Context(), s, fix, checks.Finding{Check: check}); !errors.As(err, &part) {
		t.Errorf("got error %v, want that a bundle has it in part only", err)
	}
}

func TestParsePick(t *testing.T) {
	for _, tt := range []struct {
		line string
		want []int
		bad  bool
	}{
		{line: ""}, {line: "q"}, {line: "1", want: []int{0}}, {line: "3,1 1", want: []int{0, 2}}, {line: "2-4", want: []int{1, 2, 3}},
		{line: "a", want: []int{0, 1, 2, 3}}, {line: "5", bad: true}, {line: "0", bad: true}, {line: "3-2", bad: true}, {line: "x", bad: true}, {line: "-", bad: true},
	} {
		got, err := parsePick(tt.line, 4)
		if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != tt.bad {
			t.Errorf("%q: got %v and error %v", tt.line, got, err)
		}
	}
}
