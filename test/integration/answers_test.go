package integration

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/test/portforward"
)

// TestAnswers asks cluster DNS through the API server's port-forward.
func TestAnswers(t *testing.T) {
	const healthy = "../clusters/healthy"
	p := start(t, "--no-controllers")
	p.load(t, healthy)
	k := fromBundle(t, healthy)
	var mu sync.Mutex
	var asked []string
	k.ports = portforward.DNS(func(q *dns.Msg) *dns.Msg {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, q.Question[0].Name)
		return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	})
	k.serve(t)
	serveDNSPods(t)
	now := later()
	look := func(args ...string) outcome {
		return p.runIn(t, t.Context(), sameClock(p.env(t), now), append(args, "-o", "json")...)
	}

	admin := look("check", "coredns-pod-answers", "--outside-name", "lake.example")
	if got := rootsOf(t, admin); !slices.Equal(got, []string{"coredns-pod-answers"}) {
		t.Errorf("roots: %q", got)
	}
	slices.Sort(asked)
	if asked = slices.Compact(asked); len(asked) != 3 || !slices.Contains(asked, "kubernetes.default.svc.cluster.local.") || !slices.Contains(asked, "lake.example.") {
		t.Errorf("asked for %q", asked)
	}

	t.Run("saved", func(t *testing.T) {
		bundle := filepath.Join(t.TempDir(), "saved")
		if o := p.runIn(t, t.Context(), sameClock(p.env(t), now), "capture", "-f", bundle, "--outside-name", ""); o.code != 0 || o.stderr != "" {
			t.Fatalf("capture: exit %d, %s", o.code, o.stderr)
		}
		saved := look("check", "coredns-pod-answers", "coredns-pod-outside", "--from", bundle)
		if got := rootsOf(t, saved); !slices.Equal(got, []string{"coredns-pod-answers"}) {
			t.Errorf("roots: %q", got)
		}
		if got := reasonsOf(t, saved)["coredns-pod-outside"]; got != "skipped: no CoreDNS pod was asked for a name outside the cluster" {
			t.Errorf("coredns-pod-outside: %s", got)
		}
	})

	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict([]byte(p.run(t, "rbac").stdout), &role); err != nil {
		t.Fatal(err)
	}
	t.Run("the printed ClusterRole suffices", func(t *testing.T) {
		p.bindRules(t, "forwards", "reader", role.Rules)
		reader := look("check", "coredns-pod-answers", "--as", "reader")
		if diff := cmp.Diff(reasonsOf(t, admin), reasonsOf(t, reader)); diff != "" {
			t.Errorf("(-admin +reader):\n%s", diff)
		}
	})
	t.Run("without port-forwards nothing else is unknown", func(t *testing.T) {
		p.bindRules(t, "forwards-not", "careful", slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, "pods/portforward") }))
		want, got := reasonsOf(t, look("check")), reasonsOf(t, look("check", "--as", "careful"))
		why := got["coredns-pod-answers"]
		if !strings.HasPrefix(why, "unknown: answers of kube-system/coredns-") || !strings.Contains(why, `: forbidden: User "careful" cannot create resource "pods/portforward"`) {
			t.Errorf("coredns-pod-answers: %s", why)
		}
		for id := range want {
			if strings.HasPrefix(got[id], "unknown") && !strings.HasPrefix(want[id], "unknown") && id != "coredns-pod-answers" {
				t.Errorf("%s: %s", id, got[id])
			}
		}
	})
}

// reasonsOf returns the answer of each check in a JSON report.
func reasonsOf(t *testing.T, o outcome) map[string]string {
	t.Helper()
	var report struct {
		Results []struct{ Check, Status, Reason string }
	}
	if err := json.Unmarshal([]byte(o.stdout), &report); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range report.Results {
		out[r.Check] = r.Status + ": " + r.Reason
	}
	return out
}
