package integration

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// upstream is where the repaired CoreDNS asks; nobody has to answer there.
const upstream = "10.77.0.53"

func (p api) corefile(t *testing.T) *corev1.ConfigMap {
	t.Helper()
	cm, err := p.Client.CoreV1().ConfigMaps("kube-system").Get(context.Background(), "coredns", metav1.GetOptions{})
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
	if !strings.Contains(o.stderr, "Not asked from outside: Pod kube-system/coredns-") {
		t.Error("that no DNS server could be asked from outside is not said")
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
		if _, err := p.Client.CoreV1().ConfigMaps("kube-system").Update(context.Background(), cm, metav1.UpdateOptions{}); err != nil {
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
	if o.code != 2 || !strings.Contains(o.stderr, "interrupted before it was verified; the repair was taken back") {
		t.Errorf("exit %d, want 2 and that it was taken back", o.code)
	}
	if diff := cmp.Diff(lasting(before), lasting(p.corefile(t))); diff != "" {
		t.Errorf("ConfigMap after the interrupt:\n%s", diff)
	}
	if o := p.run(t, "history"); !strings.Contains(o.stdout, "rolled-back") {
		t.Error("history does not show the roll-back")
	}
}

func (p api) edit(t *testing.T, with func(*corev1.ConfigMap)) {
	t.Helper()
	cm := p.corefile(t)
	with(cm)
	if _, err := p.Client.CoreV1().ConfigMaps("kube-system").Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestUndoKeepsWhatOthersChanged(t *testing.T) {
	p, _ := broken(t)
	before := p.corefile(t).Data["Corefile"]
	if o := p.run(t, "fix", "coredns-loop", "--upstream", upstream, "-y", "--settle", "0s"); o.code != 0 {
		t.Fatalf("fix: exit %d", o.code)
	}
	p.edit(t, func(cm *corev1.ConfigMap) { cm.Data["Corefile"] += "# edited by hand\n" })
	o := p.run(t, "undo", "-y")
	if o.code != 2 || !strings.Contains(o.stderr, "changed again by somebody else") || !strings.Contains(o.stderr, "--force") {
		t.Errorf("undo: exit %d, want a refusal", o.code)
	}
	for _, want := range []string{"What the repair did:", "+    forward . " + upstream, "What somebody did since:", "+# edited by hand"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("the refusal does not show %q", want)
		}
	}
	if !strings.HasSuffix(p.corefile(t).Data["Corefile"], "# edited by hand\n") {
		t.Error("undo overwrote somebody's edit")
	}
	if o := p.run(t, "undo", "-y", "--force"); o.code != 0 {
		t.Errorf("undo --force: exit %d", o.code)
	}
	if diff := cmp.Diff(before+"# edited by hand\n", p.corefile(t).Data["Corefile"]); diff != "" {
		t.Errorf("Corefile after undo --force:\n%s", diff)
	}
}

var digestLine = regexp.MustCompile(`(?m)^Digest: ([0-9a-f]+)`)

// What was approved is applied, or nothing.
func TestConfirm(t *testing.T) {
	p, _ := broken(t)
	fix := func(args ...string) outcome {
		return p.run(t, append([]string{"fix", "coredns-loop", "--upstream", upstream}, args...)...)
	}
	shown := digestLine.FindStringSubmatch(fix("--dry-run").stdout)
	if shown == nil {
		t.Fatal("the dry run prints no digest")
	}
	p.edit(t, func(cm *corev1.ConfigMap) { cm.Data["Corefile"] += "# edited by hand\n" })
	if o := fix("-y", "--confirm", shown[1]); o.code != 2 || !strings.Contains(o.stderr, "nothing was changed") {
		t.Errorf("another plan than the confirmed one: exit %d", o.code)
	}
	if strings.Contains(p.corefile(t).Data["Corefile"], upstream) {
		t.Error("another plan than the confirmed one was applied")
	}
	shown = digestLine.FindStringSubmatch(fix("--dry-run").stdout)
	if o := fix("-y", "--confirm", shown[1], "--settle", "0s"); o.code != 0 || !strings.Contains(p.corefile(t).Data["Corefile"], upstream) {
		t.Errorf("the confirmed plan: exit %d", o.code)
	}
}

// Without arguments, on a terminal, findings are gone through one by one.
func TestPick(t *testing.T) {
	p, _ := broken(t)
	w := p.env(t)
	in, say := answers()
	w.In, w.AskIn = in, true
	w.err.when("Repair which?", func() { say("9\n") })
	w.err.when("is not one of", func() { say("a\n") })
	w.err.when("Apply this?", func() { say("y\n") })
	o := p.runIn(t, t.Context(), w, "fix", "--upstream", upstream, "--settle", "0s")
	if !strings.Contains(o.stdout, "Cured: coredns-loop") || !strings.Contains(p.corefile(t).Data["Corefile"], upstream) {
		t.Errorf("exit %d, want the loop cured", o.code)
	}
	if o := p.run(t, "fix"); strings.Contains(o.stdout, "coredns-loop") {
		t.Error("what is cured is still offered")
	}
}

// What an operator would take back at once is shown, and applied only by force.
func TestOwnerThatReverts(t *testing.T) {
	p, _ := broken(t)
	p.edit(t, func(cm *corev1.ConfigMap) {
		cm.Annotations = map[string]string{"argocd.argoproj.io/tracking-id": "dns"}
	})
	fix := func(args ...string) outcome {
		return p.run(t, append([]string{"fix", "coredns-loop", "--upstream", upstream, "--settle", "0s"}, args...)...)
	}
	o := fix("-y")
	if o.code != 2 || !strings.Contains(o.stdout, "+    forward . "+upstream) || !strings.Contains(o.stderr, "Argo CD would take it back at once") {
		t.Errorf("exit %d, want the change shown and refused", o.code)
	}
	if strings.Contains(p.corefile(t).Data["Corefile"], upstream) {
		t.Error("it was applied")
	}
	if o := fix("-o", "kustomize"); o.code != 0 || !strings.Contains(o.stdout, "kind: Kustomization") {
		t.Errorf("-o kustomize: exit %d", o.code)
	}
	if o := fix("-y", "--force"); o.code != 0 {
		t.Errorf("--force: exit %d", o.code)
	}
}

// Rights that are missing are named, all of them, before anything is written; those that
// -o rbac prints suffice.
func TestFixRights(t *testing.T) {
	p, _ := broken(t)
	p.bind(t, p.run(t, "rbac").stdout, "operator")
	o := p.run(t, "fix", "coredns-loop", "--upstream", upstream, "-y", "--as", "operator")
	for _, want := range []string{
		// The right to get it is one of looking.
		`{apiGroups: [""], resources: ["configmaps"], resourceNames: [coredns], verbs: [patch] in namespace kube-system}`,
		`{apiGroups: [""], resources: ["pods"], resourceNames: [coredns-`, "verbs: [delete]", "nothing was changed",
	} {
		if !strings.Contains(o.stderr, want) {
			t.Errorf("the refusal does not name %s", want)
		}
	}
	if o.code != 2 {
		t.Errorf("exit %d", o.code)
	}

	roles := p.run(t, "fix", "coredns-loop", "--upstream", upstream, "-o", "rbac").stdout
	for _, document := range strings.Split(roles, "---\n")[1:] {
		var role rbacv1.Role
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			t.Fatal(err)
		}
		if role.Kind == "Role" {
			p.bindIn(t, &role, "repairer")
		} else {
			p.bindRules(t, "repairer-looks", "repairer", role.Rules)
		}
	}
	if o := p.run(t, "fix", "coredns-loop", "--upstream", upstream, "-y", "--settle", "0s", "--as", "repairer"); o.code != 0 {
		t.Errorf("with the printed rights: exit %d", o.code)
	}
	if o := p.run(t, "history", "--as", "repairer"); o.code != 0 || !strings.Contains(o.stdout, "repairer") {
		t.Error("history does not say who repaired")
	}
	if o := p.run(t, "undo", "-y", "--as", "repairer"); o.code != 0 {
		t.Errorf("undo with the printed rights: exit %d", o.code)
	}
}

func (p api) bindIn(t *testing.T, role *rbacv1.Role, user string) {
	t.Helper()
	if _, err := p.Client.RbacV1().Roles(role.Namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}
	if _, err := p.Client.RbacV1().RoleBindings(role.Namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// A process that is killed before its write leaves a repair half done; history says so,
// and either end can be reached.
func TestHalfDone(t *testing.T) {
	for _, written := range []bool{false, true} {
		for _, end := range []string{"resume", "undo"} {
			t.Run(fmt.Sprintf("written %t, %s", written, end), func(t *testing.T) {
				p, _ := broken(t)
				before := p.corefile(t)
				o := p.run(t, "fix", "coredns-loop", "--upstream", upstream, "-y", "--no-verify")
				if o.code != 0 {
					t.Fatalf("fix: exit %d", o.code)
				}
				p.halve(t)
				if !written {
					p.edit(t, func(cm *corev1.ConfigMap) { cm.Data = before.Data })
				}
				if o := p.run(t, "history"); !strings.Contains(o.stdout, "pending") || !strings.Contains(o.stdout, "is half done: 0 of 1 changes") {
					t.Error("history does not say what is half done")
				}
				if end == "resume" {
					if o := p.run(t, "fix", "--resume", "-y", "--settle", "0s"); o.code != 0 || !strings.Contains(o.stdout, "Cured") {
						t.Errorf("resume: exit %d", o.code)
					}
					if !strings.Contains(p.corefile(t).Data["Corefile"], upstream) {
						t.Error("resume did not write")
					}
					return
				}
				if o := p.run(t, "undo", "-y"); o.code != 0 {
					t.Errorf("undo: exit %d", o.code)
				}
				if diff := cmp.Diff(before.Data, p.corefile(t).Data); diff != "" {
					t.Errorf("after undo:\n%s", diff)
				}
			})
		}
	}
}

// halve makes the journal's one entry that of a process which died after writing it.
func (p api) halve(t *testing.T) {
	t.Helper()
	client := p.Client.CoreV1().ConfigMaps("kube-system")
	list, err := client.List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=kubectl-netdoctor"})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("%d entries, error %v", len(list.Items), err)
	}
	cm := &list.Items[0]
	text := cm.Data["repair.json"]
	text = strings.Replace(text, `"state": "applied"`, `"state": "pending"`, 1)
	cm.Data["repair.json"] = strings.Replace(text, `"done": 1`, `"done": 0`, 1)
	if _, err := client.Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Objects of one plan may stand on each other: the namespace comes first and goes last.
func TestInstallAndUndo(t *testing.T) {
	p := start(t, "--no-controllers")
	p.load(t, "../clusters/no-network-plugin")
	fromBundle(t, "../clusters/no-network-plugin").serve(t)
	install := []string{"fix", "cni-not-installed", "--plugin", "flannel", "--manifest", "testdata/flannel.yaml", "--pod-cidr", "10.244.0.0/16"}
	if o := p.run(t, append(install, "--dry-run")...); o.code != 0 || !strings.Contains(o.stdout, "the API server accepts this") {
		t.Fatalf("dry run: exit %d", o.code)
	}
	if o := p.run(t, append(install, "-y", "--no-verify")...); o.code != 0 {
		t.Fatalf("fix: exit %d", o.code)
	}
	get := func() error {
		_, err := p.Client.AppsV1().DaemonSets("kube-flannel").Get(t.Context(), "kube-flannel-ds", metav1.GetOptions{})
		return err
	}
	if err := get(); err != nil {
		t.Errorf("the agents are not there: %v", err)
	}
	if o := p.run(t, append(install, "-y")...); o.code != 2 {
		t.Errorf("a second time: exit %d, want that there is nothing to repair", o.code)
	}
	if o := p.run(t, "undo", "-y"); o.code != 0 {
		t.Errorf("undo: exit %d", o.code)
	}
	if err := get(); err == nil {
		t.Error("undo left the agents")
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
