package apply_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

var (
	crash = &checks.Check{ID: "pod-crashes", Severity: checks.Error}
	slow  = &checks.Check{ID: "dns-slow", Severity: checks.Warning}
)

// owned are pods of namespace shop, each with the DaemonSet that it belongs to.
func owned(t *testing.T, pods map[string]string) *facts.Snapshot {
	t.Helper()
	b := facts.NewBuilder(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), "v1.37.2", facts.Logs)
	for name, owner := range pods {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
		if owner != "" {
			yes := true
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: owner, Controller: &yes}}
		}
		if err := b.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	return b.Build()
}

func pod(name string) facts.Ref { return facts.Ref{Kind: "Pod", Namespace: "shop", Name: name} }

func found(c *checks.Check, severity checks.Severity, message string, subjects ...facts.Ref) checks.Result {
	r := checks.Result{Check: c, Status: checks.Failed}
	for _, s := range subjects {
		r.Findings = append(r.Findings, checks.Finding{Check: c, Subject: s, Severity: severity, Message: message})
	}
	return r
}

func TestVerify(t *testing.T) {
	set := facts.Ref{Kind: "DaemonSet", Namespace: "shop", Name: "resolver"}
	other := facts.Ref{Kind: "DaemonSet", Namespace: "shop", Name: "proxy"}
	ok := checks.Result{Check: crash, Status: checks.OK}
	before := owned(t, map[string]string{"resolver-a": "resolver", "proxy-a": "proxy", "lone": "", "alone": ""})
	after := owned(t, map[string]string{"resolver-z": "resolver", "proxy-a": "proxy", "lone": "", "alone": ""})
	tests := []struct {
		name    string
		places  []facts.Ref // of the finding, whose subject is resolver-a
		known   []checks.Result
		results []checks.Result
		want    apply.Verdict
		why     string
	}{
		{name: "gone", results: []checks.Result{ok}, want: apply.IsCured},
		{name: "the same pod", results: []checks.Result{found(crash, checks.Error, "crashes", pod("resolver-a"))},
			want: apply.NotCured, why: "Pod shop/resolver-a crashes"},
		{name: "the same pod under a new name", results: []checks.Result{found(crash, checks.Error, "crashes", pod("resolver-z"))},
			want: apply.NotCured, why: "Pod shop/resolver-z crashes"},
		{name: "its controller", results: []checks.Result{found(crash, checks.Error, "crashes", set)}, want: apply.NotCured, why: "DaemonSet shop/resolver crashes"},
		{name: "one of its places", places: []facts.Ref{pod("proxy-a")}, results: []checks.Result{found(crash, checks.Error, "crashes", other)},
			want: apply.NotCured, why: "DaemonSet shop/proxy crashes"},
		{name: "worse than before counts before what is not known", results: []checks.Result{
			{Check: crash, Status: checks.Failed, Reason: "logs: timeout", Findings: found(crash, checks.Error, "crashes", pod("resolver-z")).Findings}},
			want: apply.NotCured, why: "Pod shop/resolver-z crashes"},
		{name: "elsewhere, as before", known: []checks.Result{found(crash, checks.Error, "crashes", pod("proxy-a"))},
			results: []checks.Result{found(crash, checks.Error, "crashes", pod("proxy-a"))}, want: apply.IsCured},
		{name: "elsewhere, and new", results: []checks.Result{found(crash, checks.Error, "crashes", pod("proxy-a"))},
			want: apply.NotCured, why: "something new is broken: Pod shop/proxy-a crashes"},
		{name: "another check, new", results: []checks.Result{ok, found(noForward, checks.Error, "does not forward", pod("resolver-z"))},
			want: apply.NotCured, why: "something new is broken: Pod shop/resolver-z does not forward"},
		{name: "another check, as before under another name", known: []checks.Result{found(noForward, checks.Error, "does not forward", pod("resolver-a"))},
			results: []checks.Result{ok, found(noForward, checks.Error, "does not forward", pod("resolver-z"))}, want: apply.IsCured},
		{name: "another check, a new warning", results: []checks.Result{ok, found(slow, checks.Warning, "is slow", pod("resolver-z"))}, want: apply.IsCured},
		{name: "a pod without controller, new", results: []checks.Result{ok, found(noForward, checks.Error, "does not forward", pod("lone"))},
			want: apply.NotCured, why: "something new is broken: Pod shop/lone"},
		{name: "a pod without controller, beside another", known: []checks.Result{found(noForward, checks.Error, "does not forward", pod("alone"))},
			results: []checks.Result{ok, found(noForward, checks.Error, "does not forward", pod("lone"))},
			want:    apply.NotCured, why: "something new is broken: Pod shop/lone"},
		{name: "not asked", results: []checks.Result{found(slow, checks.Warning, "is slow", pod("lone"))}, want: apply.CannotSay, why: "pod-crashes was not asked again"},
		{name: "unknown", results: []checks.Result{{Check: crash, Status: checks.Unknown, Reason: "pods: forbidden"}}, want: apply.CannotSay, why: "pods: forbidden"},
		{name: "skipped", results: []checks.Result{{Check: crash, Status: checks.Skipped, Reason: "looks only at --depth logs"}}, want: apply.CannotSay, why: "looks only at --depth"},
		{name: "unknown for no reason", results: []checks.Result{{Check: crash, Status: checks.Unknown}}, want: apply.CannotSay},
		{name: "skipped for no reason", results: []checks.Result{{Check: crash, Status: checks.Skipped}}, want: apply.CannotSay},
		{name: "only in part", known: []checks.Result{found(crash, checks.Error, "crashes", pod("proxy-a"))},
			results: []checks.Result{{Check: crash, Status: checks.Failed, Reason: "logs/shop/resolver-z: timeout",
				Findings: found(crash, checks.Error, "crashes", pod("proxy-a")).Findings}},
			want: apply.CannotSay, why: "logs/shop/resolver-z: timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			finding := checks.Finding{Check: crash, Subject: pod("resolver-a"), Severity: checks.Error, Message: "crashes", Places: tt.places}
			known := append([]checks.Result{{Check: crash, Status: checks.Failed, Findings: []checks.Finding{finding}}}, tt.known...)
			got, why := apply.Verify(apply.Look{Snapshot: before, Results: known}, apply.Look{Snapshot: after, Results: tt.results}, finding)
			if got != tt.want || !strings.HasPrefix(why, tt.why) || (why == "") != (tt.why == "") {
				t.Errorf("got %d, %q, want %d, %q", got, why, tt.want, tt.why)
			}
		})
	}
}

// A fault of one node is cured although another one has it, too, with pods of the same
// controller.
func TestVerifyNodes(t *testing.T) {
	s := owned(t, map[string]string{"resolver-a": "resolver", "resolver-b": "resolver"})
	on := func(node, on string) checks.Finding {
		return checks.Finding{Check: crash, Subject: facts.NodeRef(node), Severity: checks.Error, Message: "breaks its pods", Places: []facts.Ref{pod(on)}}
	}
	look := func(findings ...checks.Finding) apply.Look {
		return apply.Look{Snapshot: s, Results: []checks.Result{{Check: crash, Status: checks.Failed, Findings: findings}}}
	}
	first, second := on("oven", "resolver-a"), on("grill", "resolver-b")
	if got, why := apply.Verify(look(first, second), look(second), first); got != apply.IsCured {
		t.Errorf("the other node alone is left: %d, %q", got, why)
	}
	if got, _ := apply.Verify(look(first, second), look(on("oven", "resolver-z")), first); got != apply.NotCured {
		t.Errorf("it breaks another pod: %d", got)
	}
}
