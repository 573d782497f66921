package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-netdoctor/netdoctor/test/plane"
)

const loopBundle = "../../examples/coredns-loop"

// sameClock gives every command of a test the same moment, so that reports can be
// compared as they are.
func sameClock(w world, at time.Time) world {
	w.Now = func() time.Time { return at }
	return w
}

func TestLiveEqualsBundle(t *testing.T) {
	for _, name := range []string{loopBundle, "../clusters/healthy", "../clusters/dns-selector", "../clusters/no-network-plugin"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			p := start(t, "--no-controllers")
			p.load(t, name)
			fromBundle(t, name).serve(t)
			serveDNSPods(t)
			now := later()

			live := p.runIn(t, t.Context(), sameClock(p.env(t), now), "check", "-o", "json")
			bundle := filepath.Join(t.TempDir(), "saved.tar.gz")
			if o := p.runIn(t, t.Context(), sameClock(p.env(t), now), "capture", "-f", bundle); o.code != 0 || o.stderr != "" {
				t.Fatalf("capture: exit %d, %s", o.code, o.stderr)
			}
			saved := p.runIn(t, t.Context(), sameClock(p.env(t), now), "check", "-o", "json", "--from", bundle)
			if diff := cmp.Diff(live.stdout, saved.stdout); diff != "" || live.code != saved.code {
				t.Errorf("live (exit %d) and saved (exit %d) differ:\n%s", live.code, saved.code, diff)
			}

			hidden := filepath.Join(t.TempDir(), "hidden.tar.gz")
			if o := p.runIn(t, t.Context(), sameClock(p.env(t), now), "capture", "--anonymize", "-f", hidden); o.code != 0 || !strings.Contains(o.stderr, "pseudonyms") {
				t.Fatalf("capture --anonymize: exit %d, %s", o.code, o.stderr)
			}
			anonymous := p.runIn(t, t.Context(), sameClock(p.env(t), now), "check", "-o", "json", "--from", hidden)
			if diff := cmp.Diff(rootsOf(t, live), rootsOf(t, anonymous), cmpopts.SortSlices(strings.Compare)); diff != "" || live.code != anonymous.code {
				t.Errorf("live (exit %d) and anonymised (exit %d) have other roots:\n%s", live.code, anonymous.code, diff)
			}

			original := p.runIn(t, t.Context(), p.env(t), "check", "-o", "json", "--from", name)
			if diff := cmp.Diff(rootsOf(t, original), rootsOf(t, live)); diff != "" {
				t.Errorf("the cluster and the bundle that it was made from have other roots:\n%s", diff)
			}
		})
	}
}

// rootsOf returns the checks of a JSON report's roots, with those folded below them.
func rootsOf(t *testing.T, o outcome) []string {
	t.Helper()
	type node struct {
		Check    string
		Symptoms []json.RawMessage
	}
	var report struct{ Roots []json.RawMessage }
	if err := json.Unmarshal([]byte(o.stdout), &report); err != nil {
		t.Fatalf("not a JSON report: %v", err)
	}
	var out []string
	var walk func(indent string, raw []json.RawMessage)
	walk = func(indent string, raw []json.RawMessage) {
		for _, r := range raw {
			var n node
			if err := json.Unmarshal(r, &n); err != nil {
				t.Fatal(err)
			}
			out = append(out, indent+n.Check)
			walk(indent+"  ", n.Symptoms)
		}
	}
	walk("", report.Roots)
	return out
}

func TestRights(t *testing.T) {
	p := start(t, "--no-controllers")
	p.load(t, loopBundle)
	fromBundle(t, loopBundle).serve(t)
	serveDNSPods(t)
	now := later()
	admin := p.runIn(t, t.Context(), sameClock(p.env(t), now), "check", "-o", "json")

	t.Run("the printed ClusterRole suffices", func(t *testing.T) {
		p.bind(t, p.run(t, "rbac").stdout, "reader")
		reader := p.runIn(t, t.Context(), sameClock(p.env(t), now), "check", "-o", "json", "--as", "reader")
		if diff := cmp.Diff(admin.stdout, reader.stdout); diff != "" {
			t.Errorf("reader sees another cluster:\n%s", diff)
		}
	})
	t.Run("no rights, no answers", func(t *testing.T) {
		o := p.run(t, "check", "-o", "json", "--as", "nobody")
		if o.code != 3 {
			t.Errorf("exit %d, want 3", o.code)
		}
		var report struct {
			Summary map[string]int
			Results []struct{ Check, Status, Reason string }
		}
		if err := json.Unmarshal([]byte(o.stdout), &report); err != nil {
			t.Fatal(err)
		}
		if report.Summary["ok"] != 0 || report.Summary["unknown"] == 0 {
			t.Errorf("summary %v: nothing may be ok for someone who may see nothing", report.Summary)
		}
		for _, r := range report.Results {
			if r.Status == "unknown" && !strings.Contains(r.Reason, "forbidden") {
				t.Errorf("%s is unknown because %q, want the reason to say forbidden", r.Check, r.Reason)
			}
		}
	})
}

// bind creates the ClusterRole that a command printed and binds a user to it.
func (p api) bind(t *testing.T, role, user string) {
	t.Helper()
	var r rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict([]byte(role), &r); err != nil {
		t.Fatal(err)
	}
	p.bindRules(t, r.Name, user, r.Rules)
}

func (p api) bindRules(t *testing.T, name, user string, rules []rbacv1.PolicyRule) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: name}
	if _, err := p.Client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}
	if _, err := p.Client.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestEmptyCluster(t *testing.T) {
	p := start(t, "--no-controllers")
	if o := p.run(t, "check"); o.code == 2 || strings.Contains(o.stdout, "internal error") {
		t.Errorf("exit %d: an empty cluster must be told, not fail", o.code)
	}
}

func TestThroughKubectl(t *testing.T) {
	p := start(t, "--no-controllers")
	p.load(t, loopBundle)
	fromBundle(t, loopBundle).serve(t)
	kubectl := exec.Command(plane.Program("kubectl"), "netdoctor", "check", "-o", "json")
	kubectl.Env = append(os.Environ(), "PATH="+filepath.Dir(plane.Program("kubectl"))+":"+os.Getenv("PATH"), "KUBECONFIG="+p.Kubeconfig)
	out, err := kubectl.Output()
	if code := kubectl.ProcessState.ExitCode(); code != 1 {
		t.Fatalf("exit %d, want 1: %v\n%s", code, err, out)
	}
	// The Service is as young as the test, so its grace has not passed and it is not yet
	// among the symptoms.
	got := rootsOf(t, outcome{stdout: string(out)})
	want := []string{"coredns-loop", "  pod-not-ready"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("roots and symptoms:\n%s", diff)
	}
}
