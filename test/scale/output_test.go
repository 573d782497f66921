package scale

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// lines is one screen of a terminal, with names as long as these.
const lines = 36

// A fault on thousands of nodes is told once, with a count and five names, in one screen.
// What stands on these nodes is folded below it.
func TestAFaultOnManyNodesIsOneRoot(t *testing.T) {
	failed := func(o *corev1.Node, status corev1.ConditionStatus, reason, message string) bool {
		for i := range o.Status.Conditions {
			if c := &o.Status.Conditions[i]; c.Type == corev1.NodeReady {
				c.Status, c.Reason, c.Message = status, reason, message
			}
		}
		return true
	}
	faults := map[string]func(obj Object) (broken bool){
		"kube-proxy-pod-unhealthy": func(obj Object) bool {
			p, ok := obj.(*corev1.Pod)
			if ok = ok && strings.HasPrefix(p.Name, "kube-proxy-") && p.Status.ContainerStatuses[0].Ready; ok {
				crash(p, corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"})
			}
			return ok
		},
		"node-not-ready": func(obj Object) bool {
			n, ok := obj.(*corev1.Node)
			return ok && failed(n, corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status.")
		},
		"node-network-not-ready": func(obj Object) bool {
			n, ok := obj.(*corev1.Node)
			return ok && failed(n, corev1.ConditionFalse, "KubeletNotReady", "container runtime network not ready: NetworkReady=false "+
				"reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized")
		},
	}
	for id, fault := range faults {
		t.Run(id, func(t *testing.T) {
			var sizes []int
			for _, sick := range []int{300, 3000} {
				r := looked(t, sick, fault)
				var of []*cause.Node
				for _, n := range r.Roots {
					if n.Check.ID == id {
						of = append(of, n)
					}
				}
				if len(of) != 1 || len(of[0].More) < sick-1 {
					t.Fatalf("%d roots of %d", len(of), len(r.Roots))
				}
				r.Roots, r.Results = of, nil
				var text, doc bytes.Buffer
				if err := report.Write(&text, r, "text", report.Style{Width: 80}); err != nil {
					t.Fatal(err)
				}
				if n := strings.Count(text.String(), "\n"); n > lines {
					t.Errorf("%d lines:\n%s", n, &text)
				}
				if !strings.Contains(strings.Join(strings.Fields(text.String()), " "), fmt.Sprintf("(and %s more: ", report.Count1000(len(of[0].More)))) {
					t.Errorf("no count of %d:\n%s", len(of[0].More), &text)
				}
				if err := report.Write(&doc, r, "json", report.Style{}); err != nil {
					t.Fatal(err)
				}
				sizes = append(sizes, doc.Len())
			}
			if sizes[1] > sizes[0]*11 {
				t.Errorf("ten times the nodes make %d bytes of JSON out of %d", sizes[1], sizes[0])
			}
		})
	}
}

// looked is the report of a cluster in which a fault was made of the objects of as many
// nodes as are to be sick.
func looked(t *testing.T, sick int, fault func(Object) bool) report.Report {
	t.Helper()
	c := cluster(t, Size{Nodes: sick + 100, Pods: sick + 100, Services: sick + 100, Events: 1})
	b := facts.NewBuilder(now.Add(time.Hour), "v1.37.2", facts.API)
	made := 0
	for i := range c.Len() {
		obj := c.Object(i)
		if made < sick && fault(obj) {
			made++
		}
		if facts.New(sourceOf(obj)) == nil {
			continue
		}
		if err := b.Add(obj); err != nil {
			t.Fatal(err)
		}
	}
	for _, src := range facts.Sources() {
		if !src.Object() {
			b.Gap(src, "", "read only at --depth "+src.Depth.String())
		}
	}
	s := b.Build()
	results := checks.Run(s, all.Checks())
	return report.Report{Snapshot: s, Results: results, Roots: cause.Roots(s, results)}
}

func sourceOf(obj Object) *facts.Source {
	for _, src := range facts.Sources() {
		if src.Kind == kind(obj) {
			return src
		}
	}
	return nil
}
