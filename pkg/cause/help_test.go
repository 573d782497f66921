package cause_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

func built(t testing.TB, objects ...any) *facts.Snapshot {
	t.Helper()
	b := facts.NewBuilder(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), "v1.37.0", facts.Logs)
	for _, o := range objects {
		if err := b.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return b.Build()
}

func node(name string, ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{ObjectMeta: meta("", name), Status: corev1.NodeStatus{
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}}}
}

func service(namespace, name string, selector map[string]string) *corev1.Service {
	return &corev1.Service{ObjectMeta: meta(namespace, name), Spec: corev1.ServiceSpec{Selector: selector}}
}

func pod(namespace, name, node string, of facts.Template) *facts.Pod {
	return &facts.Pod{Namespace: namespace, Name: name, Node: node, Template: &of}
}

// village is a cluster with one of each relation that a cause can reach a symptom by.
func village(t testing.TB, ready corev1.ConditionStatus) *facts.Snapshot {
	t.Helper()
	front := map[string]string{"app": "front"}
	dns := map[string]string{"k8s-app": "kube-dns"}
	kubeDNS := service("kube-system", "kube-dns", dns)
	kubeDNS.Labels = dns
	slice := &discoveryv1.EndpointSlice{ObjectMeta: meta("web", "bare-x"), Endpoints: []discoveryv1.Endpoint{
		{TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "web", Name: "front-2"}}}}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: "bare"}
	return built(t,
		node("oak", ready), node("elm", ready),
		pod("web", "front-1", "oak", facts.Template{Labels: front, ServiceAccount: "server", ConfigMaps: []string{"settings"},
			Owner: facts.Ref{Kind: "Deployment", Namespace: "web", Name: "front"}}),
		pod("web", "front-2", "elm", facts.Template{}),
		pod("web", "homeless", "", facts.Template{}),
		pod("trial", "front-1", "elm", facts.Template{Labels: front}),
		pod("kube-system", "dns-1", "oak", facts.Template{Labels: dns, ServiceAccount: "dns"}),
		service("web", "front", front), service("web", "bare", nil), slice, kubeDNS,
		&rbacv1.ClusterRoleBinding{ObjectMeta: meta("", "dns-reads"), RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "dns-reader"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "kube-system", Name: "dns"}}},
	)
}

// result makes what Run would: findings with their check and a severity.
func result(c *checks.Check, findings ...checks.Finding) checks.Result {
	for i := range findings {
		f := &findings[i]
		if f.Check = c; f.Severity == 0 {
			f.Severity = c.Severity
		}
	}
	return checks.Result{Check: c, Status: checks.Failed, Findings: findings}
}

// about makes a finding about the object of this path, and further places.
func about(path, message string, places ...string) checks.Finding {
	f := checks.Finding{Subject: facts.ParseRef(path), Message: message}
	for _, p := range places {
		f.Places = append(f.Places, facts.ParseRef(p))
	}
	return f
}

// itself is a finding that nothing explains.
func itself(path, message string) checks.Finding {
	f := about(path, message)
	f.Unexplained = true
	return f
}

func check(id string, s checks.Severity, explains ...*checks.Check) *checks.Check {
	return &checks.Check{ID: id, Severity: s, Explains: explains}
}

// tree draws nodes as lines, symptoms indented below what explains them.
func tree(nodes []*cause.Node) string {
	var out strings.Builder
	var draw func(indent string, nodes []*cause.Node)
	draw = func(indent string, nodes []*cause.Node) {
		for _, n := range nodes {
			fmt.Fprintf(&out, "%s%s %s %s %s", indent, n.Severity, n.Check.ID, n.Subject.Path(), n.Message)
			for _, p := range n.Places {
				fmt.Fprintf(&out, " +%s", p.Path())
			}
			for _, e := range n.Evidence {
				fmt.Fprintf(&out, " %q", e.Text)
			}
			out.WriteString("\n")
			draw(indent+"  ", n.Symptoms)
		}
	}
	draw("", nodes)
	return out.String()
}

// drawn is a wanted tree, as it is indented in the test.
func drawn(text string) string {
	return strings.ReplaceAll(strings.TrimPrefix(text, "\n"), "\t", "")
}
