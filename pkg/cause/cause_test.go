package cause_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

func TestRoots(t *testing.T) {
	var (
		nameless = check("names-fail", checks.Error)
		empty    = check("service-empty", checks.Error, nameless)
		unready  = check("pod-unready", checks.Warning, empty)
		looping  = check("dns-loops", checks.Error, unready)
		cordoned = check("node-cordoned", checks.Info, unready, empty)
		dead     = check("node-dead", checks.Error, unready)
	)
	dnsPod, dnsService := about("Pod/kube-system/dns-1", "is not Ready"), about("Service/kube-system/kube-dns", "has no endpoints")
	dns := about("ClusterDNS/cluster-dns", "is down")
	tests := []struct {
		name    string
		results []checks.Result
		want    string
	}{
		{name: "nothing"},
		{name: "nothing found", results: []checks.Result{{Check: looping, Status: checks.OK}, {Check: unready, Status: checks.Skipped}}},
		{name: "a chain has one root",
			results: []checks.Result{result(nameless, dns), result(empty, dnsService), result(unready, dnsPod), result(looping, dnsPod)},
			want: `
			error dns-loops Pod/kube-system/dns-1 is not Ready
			  error pod-unready Pod/kube-system/dns-1 is not Ready
			    error service-empty Service/kube-system/kube-dns has no endpoints
			      error names-fail ClusterDNS/cluster-dns is down
			`},
		{name: "a link that was not found ends the chain", results: []checks.Result{result(nameless, dns), result(unready, dnsPod)}, want: `
			error names-fail ClusterDNS/cluster-dns is down
			warning pod-unready Pod/kube-system/dns-1 is not Ready
			`},
		{name: "a cause that is unknown explains nothing",
			results: []checks.Result{{Check: looping, Status: checks.Unknown, Reason: "logs: forbidden"}, result(unready, dnsPod)}, want: `
			warning pod-unready Pod/kube-system/dns-1 is not Ready
			`},
		{name: "a cause known in part explains what it found",
			results: []checks.Result{result(dead, about("Node/oak", "is dead")), result(unready, dnsPod, about("Pod/web/front-2", "is not Ready"))}, want: `
			error node-dead Node/oak is dead
			  warning pod-unready Pod/kube-system/dns-1 is not Ready
			warning pod-unready Pod/web/front-2 is not Ready
			`},
		{name: "nothing explains what says so, and another finding of its check is explained",
			results: []checks.Result{result(unready, dnsPod, itself("Pod/kube-system/dns-1", "has no disk")), result(looping, dnsPod)}, want: `
			error dns-loops Pod/kube-system/dns-1 is not Ready
			  warning pod-unready Pod/kube-system/dns-1 is not Ready
			warning pod-unready Pod/kube-system/dns-1 has no disk
			`},
		{name: "of two causes the first takes the symptom",
			results: []checks.Result{result(dead, about("Node/oak", "is dead")), result(looping, dnsPod), result(unready, dnsPod)}, want: `
			error node-dead Node/oak is dead
			  warning pod-unready Pod/kube-system/dns-1 is not Ready
			error dns-loops Pod/kube-system/dns-1 is not Ready
			`},
		{name: "of two causes in another order, too",
			results: []checks.Result{result(looping, dnsPod), result(unready, dnsPod), result(dead, about("Node/oak", "is dead"))}, want: `
			error node-dead Node/oak is dead
			error dns-loops Pod/kube-system/dns-1 is not Ready
			  warning pod-unready Pod/kube-system/dns-1 is not Ready
			`},
		{name: "symptoms stand in the order in which the check names them",
			results: []checks.Result{result(empty, about("Service/web/bare", "has no endpoints")), result(cordoned, about("Node/elm", "is cordoned")),
				result(unready, about("Pod/trial/front-1", "is not Ready"))}, want: `
			error node-cordoned Node/elm is cordoned
			  warning pod-unready Pod/trial/front-1 is not Ready
			  error service-empty Service/web/bare has no endpoints
			`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tree(cause.Roots(village(t, corev1.ConditionTrue), tt.results))
			if diff := cmp.Diff(drawn(tt.want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A finding explains what is, or stands on, its subject or places, and nothing else:
// node A is not to blame for a pod on node B.
func TestRootsSubjects(t *testing.T) {
	pod := about("Pod/web/front-1", "")
	tests := []struct {
		name           string
		cause, symptom checks.Finding
		full           bool // no node takes new pods
		want           bool
	}{
		{name: "the same object", cause: pod, symptom: pod, want: true},
		{name: "a pod and its node", cause: about("Node/oak", ""), symptom: pod, want: true},
		{name: "a pod and another node", cause: about("Node/elm", ""), symptom: pod},
		{name: "a node and its pod", cause: pod, symptom: about("Node/oak", "")},
		{name: "two pods of one node", cause: about("Pod/web/front-2", ""), symptom: about("Pod/trial/front-1", "")},
		{name: "a pod and a namesake elsewhere", cause: about("Pod/trial/front-1", ""), symptom: pod},
		{name: "a pod and the cluster", cause: about("Cluster/cluster", ""), symptom: pod, want: true},
		{name: "a node and the cluster", cause: about("Cluster/cluster", ""), symptom: about("Node/elm", ""), want: true},
		{name: "names and the cluster", cause: about("Cluster/cluster", ""), symptom: about("ClusterDNS/cluster-dns", ""), want: true},
		{name: "an unheard-of kind and the cluster", cause: about("Cluster/cluster", ""), symptom: about("Tunnel/web/t", ""), want: true},
		{name: "the cluster and itself", cause: about("Cluster/cluster", ""), symptom: about("Cluster/cluster", ""), want: true},
		{name: "the cluster and a node", cause: about("Node/elm", ""), symptom: about("Cluster/cluster", "")},
		{name: "a pod that is not there and the cluster", cause: about("Cluster/cluster", ""), symptom: about("Pod/web/gone", ""), want: true},
		{name: "a pod that is not there and a node", cause: about("Node/oak", ""), symptom: about("Pod/web/gone", "")},
		{name: "a pod and its namespace", cause: about("Namespace/web", ""), symptom: pod},
		{name: "a pod and its Deployment", cause: about("Deployment/web/front", ""), symptom: pod, want: true},
		{name: "a Deployment and its pod", cause: pod, symptom: about("Deployment/web/front", "")},
		{name: "a pod and a Deployment elsewhere", cause: about("Deployment/trial/front", ""), symptom: pod},
		{name: "a pod and its ServiceAccount", cause: about("ServiceAccount/web/server", ""), symptom: pod, want: true},
		{name: "a pod and a ServiceAccount elsewhere", cause: about("ServiceAccount/trial/server", ""), symptom: pod},
		{name: "a pod and what it mounts", cause: about("ConfigMap/web/settings", ""), symptom: pod, want: true},
		{name: "a pod and the role of its ServiceAccount", cause: about("ClusterRole/dns-reader", ""), symptom: about("Pod/kube-system/dns-1", ""), want: true},
		{name: "a Service and a pod it selects", cause: pod, symptom: about("Service/web/front", ""), want: true},
		{name: "a Service and the node of its pod", cause: about("Node/oak", ""), symptom: about("Service/web/front", ""), want: true},
		{name: "a Service and a node without its pods", cause: about("Node/elm", ""), symptom: about("Service/web/front", "")},
		{name: "a Service and a pod elsewhere", cause: about("Pod/trial/front-1", ""), symptom: about("Service/web/front", "")},
		{name: "a Service and an endpoint", cause: about("Pod/web/front-2", ""), symptom: about("Service/web/bare", ""), want: true},
		{name: "names and the DNS Service", cause: about("Service/kube-system/kube-dns", ""), symptom: about("ClusterDNS/cluster-dns", ""), want: true},
		{name: "names and the node of a server", cause: about("Node/oak", ""), symptom: about("ClusterDNS/cluster-dns", ""), want: true},
		{name: "names and another Service", cause: about("Service/web/front", ""), symptom: about("ClusterDNS/cluster-dns", "")},
		{name: "a pod that waits and a node", cause: about("Node/elm", ""), symptom: about("Pod/web/homeless", "")},
		{name: "a pod that waits for all nodes", cause: about("Node/elm", ""), symptom: about("Pod/web/homeless", ""), full: true, want: true},
		{name: "a place of the cause", cause: about("Secret/web/key", "", "Pod/web/front-2", "Pod/web/front-1"), symptom: about("Service/web/front", ""), want: true},
		{name: "no place of the cause", cause: about("Secret/web/key", "", "Pod/web/front-2"), symptom: about("Service/web/front", "")},
		{name: "a place of the symptom", cause: about("Node/oak", ""), symptom: about("Deployment/web/front", "", "Pod/web/front-1"), want: true},
		{name: "no place of the symptom", cause: about("Node/elm", ""), symptom: about("Deployment/web/front", "", "Pod/web/front-1")},
	}
	symptom := check("what-shows", checks.Warning)
	explains := check("what-causes", checks.Error, symptom)
	stranger := check("what-else", checks.Error, check("not-asked", checks.Info))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := village(t, corev1.ConditionTrue)
			if tt.full {
				s = village(t, corev1.ConditionFalse)
			}
			roots := cause.Roots(s, []checks.Result{result(symptom, tt.symptom), result(explains, tt.cause)})
			if got := len(roots) == 1; got != tt.want {
				t.Errorf("explained: got %t, want %t:\n%s", got, tt.want, tree(roots))
			}
			roots = cause.Roots(s, []checks.Result{result(symptom, tt.symptom), result(stranger, tt.cause)})
			if len(roots) != 2 {
				t.Errorf("explained by a check that does not say so:\n%s", tree(roots))
			}
		})
	}
}

func TestRootsMerge(t *testing.T) {
	unready := check("pod-unready", checks.Warning)
	full := check("disk-full", checks.Warning, unready)
	with := func(f checks.Finding, change func(*checks.Finding)) checks.Finding {
		change(&f)
		return f
	}
	evidence := func(text string) func(*checks.Finding) {
		return func(f *checks.Finding) { f.Evidence = []checks.Evidence{checks.Quote("df", text)} }
	}
	severity := func(s checks.Severity) func(*checks.Finding) { return func(f *checks.Finding) { f.Severity = s } }
	oak, elm := about("Node/oak", "is full"), about("Node/elm", "is full")
	tests := []struct {
		name    string
		results []checks.Result
		want    string
	}{
		{name: "further subjects become places, evidence is kept",
			results: []checks.Result{result(full, with(elm, evidence("99%")), with(oak, evidence("98%")))}, want: `
			warning disk-full Node/elm is full +Node/oak "99%" "98%"
			`},
		{name: "the gravest severity", results: []checks.Result{result(full, with(elm, severity(checks.Info)), with(oak, severity(checks.Error)), about("Node/ash", "is full"))},
			want: `
			error disk-full Node/elm is full +Node/oak +Node/ash
			`},
		{name: "the same twice", results: []checks.Result{result(full, elm, elm)}, want: `
			warning disk-full Node/elm is full
			`},
		{name: "places once each", results: []checks.Result{result(full, about("Node/elm", "is full", "Disk/a", "Node/oak"), about("Node/oak", "is full", "Disk/b", "Disk/a", "Node/elm"))},
			want: `
			warning disk-full Node/elm is full +Disk/a +Node/oak +Disk/b
			`},
		{name: "other words", results: []checks.Result{result(full, elm, about("Node/oak", "is nearly full"))}, want: `
			warning disk-full Node/elm is full
			warning disk-full Node/oak is nearly full
			`},
		{name: "another kind", results: []checks.Result{result(full, about("Disk/elm", "is full"), elm)}, want: `
			warning disk-full Node/elm is full
			warning disk-full Disk/elm is full
			`},
		{name: "another remedy", results: []checks.Result{result(full, elm, with(oak, func(f *checks.Finding) { f.Remedy = "Empty it." }))}, want: `
			warning disk-full Node/elm is full
			warning disk-full Node/oak is full
			`},
		{name: "another check", results: []checks.Result{result(full, elm), result(check("disk-worn", checks.Warning), oak)}, want: `
			warning disk-full Node/elm is full
			warning disk-worn Node/oak is full
			`},
		{name: "the symptoms of what is merged are merged",
			results: []checks.Result{result(full, elm, oak), result(unready, about("Pod/trial/front-1", "is not Ready"), about("Pod/web/front-1", "is not Ready"),
				about("Pod/web/front-2", "crashes"))}, want: `
			warning disk-full Node/elm is full +Node/oak
			  warning pod-unready Pod/trial/front-1 is not Ready +Pod/web/front-1
			  warning pod-unready Pod/web/front-2 crashes
			`},
		{name: "what is explained stays apart from what is not",
			results: []checks.Result{result(full, oak), result(unready, about("Pod/trial/front-1", "is not Ready"), about("Pod/web/front-1", "is not Ready"))}, want: `
			warning disk-full Node/oak is full
			  warning pod-unready Pod/web/front-1 is not Ready
			warning pod-unready Pod/trial/front-1 is not Ready
			`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tree(cause.Roots(village(t, corev1.ConditionTrue), tt.results))
			if diff := cmp.Diff(drawn(tt.want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The gravest first, then what most stands on, then by id and subject.
func TestRootsOrder(t *testing.T) {
	minor, major := check("b-minor", checks.Info), check("b-major", checks.Error)
	other := check("a-major", checks.Error)
	got := tree(cause.Roots(village(t, corev1.ConditionTrue), []checks.Result{
		result(minor, about("Cluster/cluster", "is old")),
		result(major, about("Tunnel/y", "leaks"), about("Tunnel/x", "drips"), about("Node/oak", "sways"), about("Tunnel/z", "bends", "Cluster/cluster")),
		result(other, about("Tunnel/z", "leaks"), about("Node/elm", "sways")),
	}))
	want := drawn(`
		error b-major Tunnel/z bends +Cluster/cluster
		error a-major Node/elm sways
		error b-major Node/oak sways
		error a-major Tunnel/z leaks
		error b-major Tunnel/x drips
		error b-major Tunnel/y leaks
		info b-minor Cluster/cluster is old
		`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Validate refuses checks that explain each other in a circle; Roots must still end, and
// tell what stands outside of it.
func TestRootsEnds(t *testing.T) {
	self, egg := check("snake-tail", checks.Error), check("egg-first", checks.Error)
	hen := check("hen-first", checks.Error, egg)
	self.Explains, egg.Explains = []*checks.Check{self}, []*checks.Check{hen}
	got := tree(cause.Roots(village(t, corev1.ConditionTrue), []checks.Result{
		result(self, about("Node/elm", "bites itself")), result(egg, about("Node/oak", "was")), result(hen, about("Node/oak", "was")),
		result(check("fox-about", checks.Error), about("Node/oak", "saw a fox")),
	}))
	if want := "error fox-about Node/oak saw a fox\n"; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// The results are told twice, as causes and as answers; the first must not change the
// second.
func TestRootsLeavesResults(t *testing.T) {
	worn := check("cable-worn", checks.Warning)
	told := func() []checks.Result {
		first := about("Node/elm", "hangs on a worn cable", "Port/1")
		first.Places = append(make([]facts.Ref, 0, 8), first.Places...) // room that a careless append would write to
		first.Evidence = append(make([]checks.Evidence, 0, 8), checks.Quote("ethtool", "errors: 7"))
		second := about("Node/oak", "hangs on a worn cable", "Port/2")
		second.Severity, second.Evidence = checks.Error, []checks.Evidence{checks.Quote("ethtool", "errors: 9")}
		return []checks.Result{result(worn, first, second)}
	}
	results := told()
	s := village(t, corev1.ConditionTrue)
	once := tree(cause.Roots(s, results))
	if diff := cmp.Diff(told(), results); diff != "" {
		t.Errorf("the results have changed (-before +after):\n%s", diff)
	}
	if room := results[0].Findings[0].Places[:2]; room[1] != (facts.Ref{}) {
		t.Errorf("%s was written behind the places of a result", room[1])
	}
	if room := results[0].Findings[0].Evidence[:2]; room[1] != (checks.Evidence{}) {
		t.Errorf("%q was written behind the evidence of a result", room[1].Text)
	}
	if again := tree(cause.Roots(s, results)); again != once {
		t.Errorf("the second time differs:\n%s\n%s", once, again)
	}
}

// BenchmarkRoots is the largest cluster that Kubernetes supports, on its worst day. It
// must take seconds, not minutes.
func BenchmarkRoots(b *testing.B) {
	const nodes, pods = 5_000, 150_000
	unready := check("pod-unready", checks.Error)
	dead := check("node-dead", checks.Error, unready)
	var objects []any
	var down, waiting []checks.Finding
	for i := range nodes {
		name := fmt.Sprintf("n%d", i)
		objects = append(objects, node(name, corev1.ConditionUnknown))
		down = append(down, about("Node/"+name, "is dead"))
	}
	for i := range pods {
		p := pod("mass", fmt.Sprintf("p%d", i), fmt.Sprintf("n%d", i%nodes), facts.Template{})
		objects = append(objects, p)
		waiting = append(waiting, about(p.Ref().Path(), "is not Ready"))
	}
	s := built(b, objects...)
	results := []checks.Result{result(dead, down...), result(unready, waiting...)}
	for b.Loop() {
		if got := cause.Roots(s, results); len(got) != 1 || len(got[0].Places) != nodes-1 {
			b.Fatalf("got %d roots", len(got))
		}
	}
}
