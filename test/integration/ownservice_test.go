package integration

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/probe"
)

// printed is what a pod prints that tried something.
func printed(t *testing.T, node string, tries ...facts.Try) string {
	var out bytes.Buffer
	if err := (&agent.Result{Version: agent.ResultVersion, Node: node, Tries: tries}).Write(&out); err != nil {
		t.Error(err)
	}
	return out.String()
}

// ofOwn returns what is told of the Services of the doctor's pods: "NODE TARGET", with why
// there is nothing.
func ofOwn(s *facts.Snapshot) []string {
	var out []string
	for _, t := range s.Tries {
		if t.Target == facts.TargetOwnService || t.Target == facts.TargetLocalService {
			out = append(out, strings.TrimSpace(t.Node+" "+string(t.Target)+" "+t.Err))
		}
	}
	slices.Sort(out)
	return out
}

// TestOwnService lets pods try the Service that leads back to them: while they do it is there,
// stays on the node, and leads to the pods that answer alone. Of a pod that says nothing of it,
// or another thing, that is told; where nobody was led to it, it is not asked.
func TestOwnService(t *testing.T) {
	f := startFleet(t, 4)
	once := sync.OnceFunc(func() {
		services, err := f.p.Client.CoreV1().Services(probe.Namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(services.Items) != 1 {
			t.Errorf("%d Services: %v", len(services.Items), err)
			return
		}
		svc := services.Items[0]
		if policy := svc.Spec.InternalTrafficPolicy; policy == nil || *policy != corev1.ServiceInternalTrafficPolicyLocal {
			t.Errorf("its internalTrafficPolicy is %v", policy)
		}
		pods, err := f.p.Client.CoreV1().Pods(probe.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: svc.Spec.Selector})})
		if err != nil || len(svc.Spec.Selector) == 0 || len(pods.Items) != 4 {
			t.Fatalf("%v leads to %d pods: %v", svc.Spec.Selector, len(pods.Items), err)
		}
		for i := range pods.Items {
			if component(&pods.Items[i]) != "serve" || !told(&pods.Items[i], svc.Spec.ClusterIP, facts.TargetOwnService) {
				t.Errorf("it leads to a pod that is not told of it: %v", pods.Items[i].Spec.Containers)
			}
		}
	})
	own, local := facts.Try{Kind: facts.TryTCP, Target: facts.TargetOwnService, Sent: 3, Lost: 3}, facts.Try{Kind: facts.TryTCP, Target: facts.TargetLocalService, Sent: 3}
	lost := local
	lost.Lost = 3
	f.prints = func(component, node string) string {
		once()
		switch {
		case component == "try" && node == "berth-003":
			return printed(t, node, lost)
		case component == "try":
			return printed(t, node, local)
		case node == "berth-001":
			return printed(t, node, local)
		case node == "berth-002":
			return "listen tcp :47806: bind: address already in use\n"
		}
		return printed(t, "another", own)
	}
	s, warned := f.look(t, t.Context(), f.p.Config, facts.Probe)
	want := []string{
		"berth-000 local-service", "berth-000 own-service", "berth-001 local-service", "berth-001 own-service its pod did not try it", "berth-002 local-service",
		`berth-002 own-service its pod ran, but what it printed is no result: "listen tcp :47806: bind: address already in use"`,
		"berth-003 local-service", "berth-003 own-service another pod of the node did not reach it either",
	}
	if got := ofOwn(s); !slices.Equal(got, want) || len(warned) > 0 {
		t.Errorf("got %q, want %q; warnings %q", got, want, warned)
	}
	f.clean(t)
}

// told tells whether a pod's plan is to try an address.
func told(p *corev1.Pod, ip string, target facts.TryTarget) bool {
	for _, e := range p.Spec.Containers[0].Env {
		if plan, err := agent.ParsePlan(e.Value); e.Name == agent.PlanVariable && err == nil {
			return slices.ContainsFunc(plan.Targets, func(a agent.Target) bool { return a.To == ip+":47806" && a.Target == target })
		}
	}
	return false
}

// TestOwnServiceForbidden: a role of an earlier version lacks the right to make Services. What
// else is tried does not suffer, and nothing is made that could not be taken away.
func TestOwnServiceForbidden(t *testing.T) {
	verbs := regexp.MustCompile(`(?m)^( *- services\n *verbs:\n) *- create\n( *)- delete\n`)
	for verb, left := range map[string]string{"create": "delete", "delete": "create"} {
		t.Run(verb, func(t *testing.T) {
			f := startFleet(t, 1)
			const user = "oncall"
			role := f.p.run(t, "rbac", "--depth", "probe").stdout
			if !verbs.MatchString(role) {
				t.Fatal(role)
			}
			f.grant(t, user, verbs.ReplaceAllString(role, "${1}${2}- "+left+"\n"))
			config := rest.CopyConfig(f.p.Config)
			config.Impersonate = rest.ImpersonationConfig{UserName: user}
			s, warned := f.look(t, t.Context(), config, facts.Probe)
			if got, want := ofOwn(s), []string{"berth-000 own-service forbidden: you may not " + verb + " services in namespace kubectl-netdoctor"}; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if why := s.MissingPart(facts.Tries, "berth-000"); why != "" || len(s.Tries) < 2 || len(warned) > 0 {
				t.Errorf("%q, %d tries, warnings %q", why, len(s.Tries), warned)
			}
		})
	}
}
