package apply_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

func TestJudge(t *testing.T) {
	b := facts.NewBuilder(time.Now(), "v1.37.2", facts.Logs)
	for _, name := range []string{"a", "b"} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name,
			OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Name: "dns", Controller: ptr.To(true)}}}}
		if err := b.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	s := b.Build()
	answer := func(pod, rcode string) facts.Answer {
		return facts.Answer{Namespace: "kube-system", Pod: pod, Name: "name.", Rcode: rcode}
	}
	good, other, bad := answer("a", "NOERROR"), answer("b", "NXDOMAIN"), answer("b", "SERVFAIL")
	none := facts.Answer{Namespace: "kube-system", Pod: "b", Name: "name.", Err: "no answer in 5 s"}
	not := []apply.NotAsked{{Pod: facts.Ref{Kind: "Pod", Namespace: "kube-system", Name: "b"}, Why: "it is not ready"}}
	for _, tt := range []struct {
		name          string
		before, after apply.Asked
		wrong         string
		notAsked      int
	}{
		{"all well", apply.Asked{Answers: []facts.Answer{good}}, apply.Asked{Answers: []facts.Answer{good, other}}, "", 0},
		{"wrong since", apply.Asked{Answers: []facts.Answer{good}}, apply.Asked{Answers: []facts.Answer{good, bad}}, "Pod kube-system/b, asked from outside: SERVFAIL for name.", 0},
		{"mute since", apply.Asked{Answers: []facts.Answer{good}}, apply.Asked{Answers: []facts.Answer{none}}, "Pod kube-system/b, asked from outside: no answer in 5 s for name.", 0},
		{"not asked before, wrong since", apply.Asked{Not: not}, apply.Asked{Answers: []facts.Answer{bad}}, "Pod kube-system/b, asked from outside: SERVFAIL for name.", 0},
		{"wrong before", apply.Asked{Answers: []facts.Answer{none}}, apply.Asked{Answers: []facts.Answer{bad}}, "", 0},
		{"cannot be asked", apply.Asked{Answers: []facts.Answer{good}}, apply.Asked{Answers: []facts.Answer{good}, Not: not}, "", 1},
	} {
		tt.before.Snapshot, tt.after.Snapshot = s, s
		wrong, notAsked := apply.Judge(tt.before, tt.after)
		if wrong != tt.wrong || len(notAsked) != tt.notAsked {
			t.Errorf("%s: got %q, %q", tt.name, wrong, notAsked)
		}
	}
}
