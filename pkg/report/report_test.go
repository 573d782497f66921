package report_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubelet"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// reports are what the golden files show.
func reports(t *testing.T) map[string]report.Report {
	t.Helper()
	return map[string]report.Report{
		"healthy": healthy(), "loop": loop(t), "unknown": unknown(), "several": several(), "many": many(3000), "hostile": hostile(),
	}
}

func TestGolden(t *testing.T) {
	formats := map[string]struct {
		format string
		style  report.Style
	}{
		"text":  {"text", report.Style{Width: 80}},
		"color": {"text", report.Style{Width: 80, Color: true}},
		"wide":  {"wide", report.Style{Width: 80}},
		"json":  {"json", report.Style{Width: 80}},
		"yaml":  {"yaml", report.Style{Width: 80}},
	}
	large := map[string]bool{"many.wide": true, "many.json": true, "many.yaml": true} // 3,000 places each
	for name, r := range reports(t) {
		for ext, f := range formats {
			file := name + "." + ext
			if large[file] {
				continue
			}
			t.Run(file, func(t *testing.T) {
				golden(t, filepath.Join("testdata", file+".golden"), write(t, r, f.format, f.style))
			})
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; go test ./pkg/report -update writes it anew):\n%s", name, diff)
	}
}

func write(t *testing.T, r report.Report, format string, style report.Style) string {
	t.Helper()
	var out bytes.Buffer
	if err := report.Write(&out, r, format, style); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestUnknownFormat(t *testing.T) {
	var out bytes.Buffer
	if err := report.Write(&out, healthy(), "xml", report.Style{Width: 80}); err == nil || out.Len() > 0 {
		t.Errorf("got error %v and %d bytes, want an error and none", err, out.Len())
	}
	for _, format := range report.Formats() {
		if got := write(t, healthy(), format, report.Style{Width: 80}); got == "" {
			t.Errorf("%s: nothing was written", format)
		}
	}
}

func TestWorst(t *testing.T) {
	node := func(s checks.Severity, symptoms ...*cause.Node) *cause.Node {
		return &cause.Node{Finding: checks.Finding{Severity: s}, Symptoms: symptoms}
	}
	tests := []struct {
		name  string
		roots []*cause.Node
		want  checks.Severity
	}{
		{name: "nothing", want: 0},
		{name: "root", roots: []*cause.Node{node(checks.Info), node(checks.Warning)}, want: checks.Warning},
		{name: "symptom", roots: []*cause.Node{node(checks.Info, node(checks.Warning, node(checks.Error)))}, want: checks.Error},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := report.Worst(tt.roots); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// The checks that the reports are made of.
var (
	notReady = &checks.Check{ID: "pod-not-ready", Title: "Pods are Ready", Severity: checks.Error,
		ByHand: []string{"kubectl get pods -A"}}
	noRoute = &checks.Check{ID: "node-no-route", Title: "Nodes reach each other", Severity: checks.Error,
		URL: "https://example.org/routes", Explains: []*checks.Check{notReady},
		ByHand: []string{"kubectl get nodes -o wide", "ip route   # on the node"}}
	clockSkew = &checks.Check{ID: "node-clock", Title: "The nodes' clocks agree", Severity: checks.Warning}
	oldImage  = &checks.Check{ID: "coredns-old", Title: "CoreDNS is supported", Severity: checks.Info}
)

func snapshot(nodes int) *facts.Snapshot {
	b := facts.NewBuilder(time.Date(2026, 11, 23, 4, 40, 8, 0, time.UTC), "v1.37.2", facts.Logs)
	for i := range nodes {
		_ = b.Add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%04d", i)}})
	}
	return b.Build()
}

func made(s *facts.Snapshot, results ...checks.Result) report.Report {
	for i := range results {
		for j := range results[i].Findings {
			f := &results[i].Findings[j]
			if f.Check = results[i].Check; f.Severity == 0 {
				f.Severity = f.Check.Severity
			}
		}
	}
	return report.Report{Snapshot: s, Results: results, Roots: cause.Roots(s, results), Fixes: map[string][]string{noRoute.ID: {"add-route"}}}
}

func healthy() report.Report {
	return made(snapshot(1), checks.Result{Check: noRoute, Status: checks.OK}, checks.Result{Check: notReady, Status: checks.OK},
		checks.Result{Check: clockSkew, Status: checks.Skipped, Reason: checks.OnlyAt(facts.Host), Deeper: facts.Host})
}

// loop is the whole way from a bundle to the report.
func loop(t *testing.T) report.Report {
	t.Helper()
	s, err := facts.Load("../../examples/coredns-loop")
	if err != nil {
		t.Fatal(err)
	}
	// A few checks only, so that a new one changes no golden file.
	results := checks.Run(s, []*checks.Check{cni.NotInstalled, kubelet.ResolvConfLoopback, coredns.Loop, symptom.PodNotReady,
		symptom.DNSServiceNoEndpoints, symptom.DNSDown})
	return report.Report{Snapshot: s, Results: results, Roots: cause.Roots(s, results), Bundle: "examples/coredns-loop",
		Fixes: map[string][]string{"coredns-loop": {"corefile-forward"}}}
}

func unknown() report.Report {
	forbidden := `nodes: forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope`
	return made(snapshot(0), checks.Result{Check: noRoute, Status: checks.Unknown, Reason: forbidden, Gaps: []string{forbidden}},
		checks.Result{Check: clockSkew, Status: checks.Unknown, Reason: forbidden, Gaps: []string{forbidden}},
		checks.Result{Check: notReady, Status: checks.Unknown, Reason: "pods: timeout"}, checks.Result{Check: oldImage, Status: checks.OK})
}

// several has a root of each severity, one of which was not seen in full.
func several() report.Report {
	s := snapshot(2)
	s.Scope = "shop"
	out := made(s,
		checks.Result{Check: noRoute, Status: checks.Failed, Reason: "logs of kube-system/cni-x: forbidden", Findings: []checks.Finding{{
			Subject: facts.NodeRef("node-0001"), Message: "has no route to 10.244.0.0/24",
			Evidence: []checks.Evidence{checks.Quote("Node node-0001, ip-route", "default via 192.0.2.1 dev eth0")},
			Remedy:   "Restart the network plugin on the node."}}},
		checks.Result{Check: clockSkew, Status: checks.Failed, Findings: []checks.Finding{{Subject: facts.Cluster(), Message: "has clocks 40 s apart"}}},
		checks.Result{Check: oldImage, Status: checks.Failed, Findings: []checks.Finding{{
			Subject: facts.ClusterDNS(), Message: "is served by CoreDNS 1.2, which nobody supports any more"}}},
		checks.Result{Check: notReady, Status: checks.OK})
	out.Layers = []report.Layer{{Title: "Nodes", Checks: []*checks.Check{noRoute, clockSkew}}, {Title: "Workloads", Checks: []*checks.Check{notReady}}}
	return out
}

func many(n int) report.Report {
	var causes, symptoms []checks.Finding
	for i := range n {
		ref := facts.NodeRef(fmt.Sprintf("node-%04d", i))
		causes = append(causes, checks.Finding{Subject: ref, Message: "has no route to the pods of other nodes",
			Evidence: []checks.Evidence{checks.Quote(ref.String()+", ip-route", "no route to 10.244.0.0/16")},
			Remedy:   "Restart the network plugin."})
		symptoms = append(symptoms, checks.Finding{Subject: ref, Message: "runs pods that are not Ready"})
	}
	return made(snapshot(n), checks.Result{Check: noRoute, Status: checks.Failed, Findings: causes},
		checks.Result{Check: notReady, Status: checks.Failed, Findings: symptoms})
}

func TestManyFitOnOneScreen(t *testing.T) {
	r := many(3000)
	if got, want := len(r.Roots), 1; got != want {
		t.Fatalf("got %d roots, want %d", got, want)
	}
	text := write(t, r, "text", report.Style{Width: 80})
	if got, most := strings.Count(text, "\n"), 40; got > most {
		t.Errorf("got %d lines, want at most %d", got, most)
	}
	for _, want := range []string{"(and 2,999 more: ", "Node node-0000, ip-route (and 2,999 more)", "1 root cause"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	if got := write(t, r, "wide", report.Style{Width: 80}); !strings.Contains(got, "node-2999, ip-route") {
		t.Error("-o wide lacks the evidence of the last node")
	}
}
