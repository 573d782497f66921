package integration

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/google/go-cmp/cmp"
)

// upstream is where the repaired CoreDNS asks; nobody has to answer there.
const upstream = "10.77.0.53"

func (p *plane) corefile(t *testing.T) *corev1.ConfigMap {
	t.Helper()
	cm, err := p.client.CoreV1().ConfigMaps("kube-system").Get(context.Background(), "coredns", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return cm
}

// lasting is an object without what the server sets at every write.
func lasting(cm *corev1.ConfigMap) *corev1.ConfigMap {
	cm = cm.DeepCopy()
	cm.ResourceVersion, cm.ManagedFields = "", nil
	return cm
}

func TestFixCuresAndUndoes(t *testing.T) {
	p, _ := broken(t)
	before := p.corefile(t)

	o := p.run(t, "fix", "coredns-loop", "--upstream", upstream, "-y", "--settle", "0s")
	if o.code != 0 || !strings.Contains(o.stdout, "Cured") {
		t.Fatalf("fix: exit %d", o.code)
	}
	want := strings.Replace(before.Data["Corefile"], "forward . /etc/resolv.conf", "forward . "+upstream, 1)
	if diff := cmp.Diff(want, p.corefile(t).Data["Corefile"]); diff != "" {
		t.Errorf("Corefile after the repair:\n%s", diff)
	}
	if o := p.run(t, "check", "coredns-loop", "pod-not-ready"); o.code != 0 {
		t.Errorf("check after the repair: exit %d", o.code)
	}
	if o := p.run(t, "history"); !strings.Contains(o.stdout, "cured") || !strings.Contains(o.stdout, "cluster") {
		t.Errorf("history does not show the repair as cured and kept in the cluster")
	}

	if o := p.run(t, "undo", "-y"); o.code != 0 {
		t.Fatalf("undo: exit %d", o.code)
	}
	if diff := cmp.Diff(lasting(before), lasting(p.corefile(t))); diff != "" {
		t.Errorf("ConfigMap after undo:\n%s", diff)
	}
	if o := p.run(t, "undo", "-y"); o.code != 2 || !strings.Contains(o.stderr, "no repair to take back") {
		t.Errorf("second undo: exit %d", o.code)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	p, n := broken(t)
	n.settle(t)
	for _, args := range [][]string{
		{"fix", "coredns-loop", "--upstream", upstream, "--dry-run"},
		{"fix", "coredns-loop", "--upstream", upstream, "--dry-run=client"},
		{"fix", "coredns-loop", "--upstream", upstream, "-o", "yaml"},
		{"fix", "coredns-loop", "--upstream", upstream, "-o", "patch"},
		{"fix"},
	} {
		before := p.versions(t)
		o := p.run(t, args...)
		if o.code != 0 || o.stdout == "" {
			t.Errorf("%v: exit %d, want 0 and a change shown", args, o.code)
		}
		if diff := cmp.Diff(before, p.versions(t)); diff != "" {
			t.Errorf("%v changed the cluster:\n%s", args, diff)
		}
	}
}

// settle waits until the controllers have nothing left to write.
func (n *nodes) settle(t *testing.T) {
	t.Helper()
	last := ""
	await(t, "quiet", func() bool {
		now := n.p.versions(t)
		quiet := now == last
		last = now
		return quiet
	})
}

func TestConflict(t *testing.T) {
	p, _ := broken(t)
	w := p.env(t)
	in, say := answers()
	w.In, w.AskIn = in, true
	w.err.when("Apply this?", func() {
		cm := p.corefile(t)
		cm.Labels = map[string]string{"touched": "by-somebody"}
		if _, err := p.client.CoreV1().ConfigMaps("kube-system").Update(context.Background(), cm, metav1.UpdateOptions{}); err != nil {
			t.Error(err)
		}
		say("y\n")
	})
	o := p.runIn(t, t.Context(), w, "fix", "coredns-loop", "--upstream", upstream)
	if o.code != 2 || !strings.Contains(o.stderr, "changed in the meantime") || !strings.Contains(o.stderr, "nothing was changed") {
		t.Errorf("exit %d, want 2 and the reason", o.code)
	}
	if !strings.Contains(p.corefile(t).Data["Corefile"], "/etc/resolv.conf") {
		t.Error("the Corefile was written although it had changed since it was shown")
	}
}

func TestNoIsNo(t *testing.T) {
	p, _ := broken(t)
	w := p.env(t)
	in, say := answers()
	w.In, w.AskIn = in, true
	w.err.when("Apply this?", func() { say("n\n") })
	before := p.corefile(t)
	if o := p.runIn(t, t.Context(), w, "fix", "coredns-loop", "--upstream", upstream); o.code != 2 {
		t.Errorf("answer no: exit %d", o.code)
	}
	if o := p.run(t, "fix", "coredns-loop", "--upstream", upstream); o.code != 2 || !strings.Contains(o.stderr, "-y") {
		t.Errorf("no terminal: exit %d, want 2 and the flag named", o.code)
	}
	if o := p.run(t, "fix", "coredns-loop", "-y"); o.code != 2 || !strings.Contains(o.stderr, "--upstream") {
		t.Errorf("no upstream: exit %d, want 2 and the flag named", o.code)
	}
	if diff := cmp.Diff(before, p.corefile(t)); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}
}

func TestNotCuredIsTakenBack(t *testing.T) {
	p, n := broken(t)
	before := p.corefile(t)
	n.makeHopeless()
	o := p.run(t, "fix", "coredns-loop", "--upstream", upstream, "-y", "--settle", "0s", "--rollout-timeout", "3s")
	if o.code != 1 || !strings.Contains(o.stderr, "taken back") {
		t.Errorf("exit %d, want 1 and the repair taken back", o.code)
	}
	if diff := cmp.Diff(lasting(before), lasting(p.corefile(t))); diff != "" {
		t.Errorf("ConfigMap after the roll-back:\n%s", diff)
	}
	if o := p.run(t, "history"); !strings.Contains(o.stdout, "rolled-back") {
		t.Error("history does not show the roll-back")
	}
}

func TestInterruptedRepair(t *testing.T) {
	p, n := broken(t)
	n.makeHopeless() // so that the rollout is still going on
	before := p.corefile(t)
	ctx, interrupt := context.WithCancel(t.Context())
	w := p.env(t)
	w.err.when("Applied as repair", interrupt)
	o := p.runIn(t, ctx, w, "fix", "coredns-loop", "--upstream", upstream, "-y")
	if o.code != 2 || !strings.Contains(o.stderr, "kubectl netdoctor undo") {
		t.Errorf("exit %d, want 2 and how to take it back", o.code)
	}
	if o := p.run(t, "undo", "-y"); o.code != 0 {
		t.Fatalf("undo after the interrupt: exit %d", o.code)
	}
	if diff := cmp.Diff(lasting(before), lasting(p.corefile(t))); diff != "" {
		t.Errorf("ConfigMap after undo:\n%s", diff)
	}
}

func TestUndoKeepsWhatOthersChanged(t *testing.T) {
	p, _ := broken(t)
	if o := p.run(t, "fix", "coredns-loop", "--upstream", upstream, "-y", "--settle", "0s"); o.code != 0 {
		t.Fatalf("fix: exit %d", o.code)
	}
	cm := p.corefile(t)
	cm.Data["Corefile"] += "# edited by hand\n"
	if _, err := p.client.CoreV1().ConfigMaps("kube-system").Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	o := p.run(t, "undo", "-y")
	if o.code != 2 || !strings.Contains(o.stderr, "changed again by somebody else") {
		t.Errorf("undo: exit %d, want a refusal", o.code)
	}
	if !strings.HasSuffix(p.corefile(t).Data["Corefile"], "# edited by hand\n") {
		t.Error("undo overwrote somebody's edit")
	}
}

func TestJournalInFile(t *testing.T) {
	p, _ := broken(t)
	p.bind(t, p.run(t, "rbac").stdout, "operator")
	p.bindRules(t, "operator-may-repair", "operator", []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"coredns"}, Verbs: []string{"patch"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"delete"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}},
	})
	before := p.corefile(t)
	home := t.TempDir()
	as := func(args ...string) outcome {
		w := p.env(t)
		w.Getenv = func(key string) string { return map[string]string{"XDG_STATE_HOME": home}[key] }
		return p.runIn(t, t.Context(), w, append(args, "--as", "operator")...)
	}
	if o := as("fix", "coredns-loop", "--upstream", upstream, "-y", "--settle", "0s"); o.code != 0 {
		t.Fatalf("fix: exit %d", o.code)
	}
	if o := as("history"); !strings.Contains(o.stdout, home) {
		t.Error("history does not say that the entry is kept in a file")
	}
	if o := as("undo", "-y"); o.code != 0 {
		t.Fatalf("undo: exit %d", o.code)
	}
	if diff := cmp.Diff(lasting(before), lasting(p.corefile(t))); diff != "" {
		t.Errorf("ConfigMap after undo:\n%s", diff)
	}
}
