package scale

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

var now = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

func cluster(t *testing.T, size Size) *Cluster {
	t.Helper()
	c, err := New(os.DirFS("../clusters/healthy"), size, now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNamesAndAddressesAreTheirOwn(t *testing.T) {
	for _, size := range []Size{For(1000), For(15000), {Nodes: 3, Pods: 20, Services: 7}, {Nodes: 300, Pods: 4000, Services: 1000}} {
		c := cluster(t, size)
		keys, ips, uids := map[string]bool{}, map[string]bool{}, map[string]bool{}
		once := func(kind string, seen map[string]bool, what string) {
			if seen[what] {
				t.Fatalf("%+v: %s %s occurs twice", size, kind, what)
			}
			seen[what] = true
		}
		for i := range c.Len() {
			obj := c.Object(i)
			once("key", keys, Key(obj))
			once("uid", uids, string(obj.GetUID()))
			if p, ok := obj.(*corev1.Pod); ok && !p.Spec.HostNetwork {
				once("address", ips, p.Status.PodIP)
			}
		}
	}
}

func TestProportions(t *testing.T) {
	for _, pods := range []int{1000, 15000, 150000} {
		if err := For(pods).check(); err != nil {
			t.Errorf("For(%d): %v", pods, err)
		}
	}
	if got, want := For(150000), (Size{5000, 150000, 10000, 20000}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// The size is that which memory and time are measured for.
func TestPodsAreAsLargeAsRealOnes(t *testing.T) {
	c := cluster(t, For(1000))
	total, n, managed := 0, 0, 0
	for i := range c.Len() {
		if p, ok := c.Object(i).(*corev1.Pod); ok && strings.HasPrefix(p.Namespace, "team-") {
			data, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			p.ManagedFields = nil
			bare, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			total, managed, n = total+len(data), managed+len(data)-len(bare), n+1
		}
	}
	t.Logf("%d bytes as JSON, %d of them managed fields", total/n, managed/n)
	if mean := total / n; mean > 6<<10 || mean-managed/n < 4<<10 {
		t.Errorf("with and without managed fields a pod has %d and %d bytes as JSON, which is not 4 to 6 KiB", mean, mean-managed/n)
	}
}

func TestEveryServiceButOneHasReadyEndpoints(t *testing.T) {
	size := For(1000)
	c := cluster(t, size)
	crashing := 0
	for i := range size.Services {
		es := c.slice(i).(*discoveryv1.EndpointSlice)
		ready := 0
		for _, e := range es.Endpoints {
			if *e.Conditions.Ready {
				ready++
			} else {
				crashing++
			}
		}
		if got, want := ready > 0, i != size.emptyService(); got != want {
			t.Errorf("Service %s: ready endpoints: %v, want %v", serviceName(i), got, want)
		}
	}
	if crashing == 0 {
		t.Error("no pod crashes: large clusters have some")
	}
}

func TestImpossibleSizes(t *testing.T) {
	for _, size := range []Size{{}, {Nodes: 1, Pods: 10, Services: 2}, {Nodes: 2, Pods: 10, Services: 11}, {Nodes: 2, Pods: 1000, Services: 10}} {
		if _, err := New(os.DirFS("../clusters/healthy"), size, now); err == nil {
			t.Errorf("%+v was accepted", size)
		}
	}
}

func TestMissedTellsWhatIsMissingAndWhatIsTooMuch(t *testing.T) {
	size := For(1000)
	report := `{"roots":[`
	for _, f := range size.Faults() {
		kind, rest, _ := strings.Cut(f.Subject, " ")
		ns, name, _ := strings.Cut(rest, "/")
		report += fmt.Sprintf(`{"check":%q,"subject":{"kind":%q,"namespace":%q,"name":%q}},`, f.Check, kind, ns, name)
	}
	named, err := Roots([]byte(strings.TrimSuffix(report, ",") + `],"results":[{"check":"dns-down","status":"ok"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := size.Missed(named); err != nil {
		t.Errorf("all were named: %v", err)
	}
	err = size.Missed(append(named[1:], "node-not-ready: Node /n"))
	if err == nil || !strings.Contains(err.Error(), "does not name kube-proxy-pod-unhealthy") || !strings.Contains(err.Error(), "no fault: node-not-ready") {
		t.Errorf("got %v", err)
	}
}
