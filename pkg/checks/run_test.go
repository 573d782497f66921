package checks_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

var taken = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

// seen makes a snapshot whose sources were all read, but for the gaps: a source's name,
// or that of a part, and the reason.
func seen(depth facts.Depth, gaps map[string]string) *facts.Snapshot {
	b := facts.NewBuilder(taken, "v1.36.0", depth)
	b.AddLog("edge", "gateway-0", "proxy", facts.Log{Current: "listening"})
	s := b.Build()
	s.Gaps, s.Unheard = gaps, map[string]bool{}
	for name, why := range gaps {
		s.Unheard[name] = why == unheard
	}
	return s
}

// unheard is the gap of a source that the netdoctor which captured the bundle did not
// know of.
const unheard = "not known then"

func finding(namespace, name, message string) checks.Finding {
	return checks.Finding{Subject: facts.Ref{Kind: "Pod", Namespace: namespace, Name: name}, Message: message}
}

func TestRunAnswers(t *testing.T) {
	var (
		nodes = []*facts.Source{facts.Nodes}
		none  = func(*facts.Snapshot) []checks.Finding { return nil }
		one   = func(*facts.Snapshot) []checks.Finding {
			return []checks.Finding{finding("edge", "gateway-0", "drops packets")}
		}
		must   = func(*facts.Snapshot) []checks.Finding { panic("must not be called") }
		logsOf = func(pods ...string) func(*facts.Snapshot) []checks.Part {
			return func(*facts.Snapshot) (out []checks.Part) {
				for _, p := range pods {
					out = append(out, checks.Part{Source: facts.PodLogs, Key: "edge/" + p})
				}
				return out
			}
		}
		says = func(why string) func(*facts.Snapshot) string { return func(*facts.Snapshot) string { return why } }
	)
	tests := []struct {
		name   string
		check  checks.Check
		depth  facts.Depth
		gaps   map[string]string
		want   checks.Status
		reason string
		deeper facts.Depth
	}{
		{name: "nothing found", check: checks.Check{Needs: nodes, Run: none}, want: checks.OK},
		{name: "something found", check: checks.Check{Needs: nodes, Run: one}, want: checks.Failed},
		{name: "a need is a gap", check: checks.Check{Needs: nodes, Run: must},
			gaps: map[string]string{"nodes": "forbidden"}, want: checks.Unknown, reason: "nodes: forbidden"},
		{name: "two needs are gaps", check: checks.Check{Needs: []*facts.Source{facts.Services, facts.Pods, facts.Nodes}, Run: must},
			gaps: map[string]string{"nodes": "forbidden", "services": "timeout"},
			want: checks.Unknown, reason: "services: timeout; nodes: forbidden"},
		{name: "the bundle is older than a need", check: checks.Check{Needs: []*facts.Source{facts.Nodes, facts.NetworkPolicies}, Run: must},
			gaps: map[string]string{"networkpolicies": unheard}, want: checks.Skipped, reason: "networkpolicies: not known then"},
		{name: "the bundle is older than a need, and another is a gap", check: checks.Check{Needs: []*facts.Source{facts.Nodes, facts.NetworkPolicies}, Run: must},
			gaps: map[string]string{"nodes": "forbidden", "networkpolicies": unheard}, want: checks.Unknown, reason: "nodes: forbidden; networkpolicies: not known then"},
		{name: "another source is a gap", check: checks.Check{Needs: nodes, Run: none},
			gaps: map[string]string{"configmaps": "forbidden"}, want: checks.OK},
		{name: "deeper than was looked", check: checks.Check{Needs: []*facts.Source{facts.Nodes, facts.Files}, Run: must},
			depth: facts.Logs, want: checks.Skipped, reason: "looks only at --depth host", deeper: facts.Host},
		{name: "deeper, and its source is a gap", check: checks.Check{Needs: []*facts.Source{facts.PodLogs}, Run: must},
			depth: facts.API, gaps: map[string]string{"logs": "not asked for"}, want: checks.Skipped, reason: "looks only at --depth logs", deeper: facts.Logs},
		{name: "deeper by its own word", check: checks.Check{Needs: nodes, When: says(checks.OnlyAt(facts.Probe)), Run: must},
			depth: facts.Logs, want: checks.Skipped, reason: "looks only at --depth probe", deeper: facts.Probe},
		{name: "as deep as was looked", check: checks.Check{Needs: []*facts.Source{facts.PodLogs}, Run: none},
			depth: facts.Logs, want: checks.OK},
		{name: "no meaning here", check: checks.Check{Needs: nodes, When: says("the cluster has no kube-proxy"), Run: must},
			want: checks.Skipped, reason: "the cluster has no kube-proxy"},
		{name: "has meaning here", check: checks.Check{Needs: nodes, When: says(""), Run: one}, want: checks.Failed},
		{name: "whether it has meaning was not seen", check: checks.Check{Needs: nodes, When: says("there are no nodes"), Run: must},
			gaps: map[string]string{"nodes": "timeout"}, want: checks.Unknown, reason: "nodes: timeout"},
		{name: "what only sharpens is a gap", check: checks.Check{Needs: nodes, MayUse: []*facts.Source{facts.Events}, Run: one},
			gaps: map[string]string{"events": "forbidden"}, want: checks.Failed},
		{name: "what only sharpens is deeper", check: checks.Check{Needs: nodes, MayUse: []*facts.Source{facts.Files}, Run: none},
			depth: facts.API, want: checks.OK},
		{name: "a part is a gap and nothing found", check: checks.Check{Needs: nodes, MayUse: []*facts.Source{facts.PodLogs}, Parts: logsOf("gateway-0"), Run: none},
			depth: facts.Logs, gaps: map[string]string{"logs/edge/gateway-0": "the kubelet does not answer"},
			want: checks.Unknown, reason: "logs of edge/gateway-0: the kubelet does not answer"},
		{name: "a part is a gap beside a finding", check: checks.Check{Needs: nodes, MayUse: []*facts.Source{facts.PodLogs}, Parts: logsOf("gateway-0", "gateway-1"), Run: one},
			depth: facts.Logs, want: checks.Failed, reason: "logs of edge/gateway-1: not read"},
		{name: "a part does not suffice", check: checks.Check{Needs: nodes, Parts: func(*facts.Snapshot) []checks.Part {
			return []checks.Part{{Source: facts.PodLogs, Key: "edge/gateway-0", Lacks: "it begins too late"}, {Source: facts.PodLogs, Key: "edge/gateway-1", Lacks: "never mind"}}
		}, Run: none}, depth: facts.Logs, want: checks.Unknown, reason: "logs of edge/gateway-0: it begins too late; logs of edge/gateway-1: not read"},
		{name: "all of a part's source is a gap", check: checks.Check{Needs: nodes, MayUse: []*facts.Source{facts.PodLogs}, Parts: logsOf("gateway-0"), Run: none},
			depth: facts.API, gaps: map[string]string{"logs": "forbidden"}, want: checks.Unknown, reason: "logs of edge/gateway-0: forbidden"},
		{name: "every part was seen", check: checks.Check{Needs: nodes, Parts: logsOf("gateway-0"), Run: none}, depth: facts.Logs, want: checks.OK},
		{name: "three parts are spelled out", check: checks.Check{Needs: nodes, Parts: logsOf("a", "b", "c"), Run: none}, depth: facts.Logs, want: checks.Unknown,
			reason: "logs of edge/a: not read; logs of edge/b: not read; logs of edge/c: not read"},
		{name: "more parts are counted", check: checks.Check{Needs: nodes, Parts: logsOf("a", "b", "gateway-0", "c", "d", "e"), Run: none}, depth: facts.Logs,
			want: checks.Unknown, reason: "logs of edge/a: not read; logs of edge/b: not read; logs of edge/c: not read; and 2 more"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.check.ID = "edge-drops"
			got := checks.Run(seen(tt.depth, tt.gaps), []*checks.Check{&tt.check})
			if len(got) != 1 || got[0].Check != &tt.check {
				t.Fatalf("got %d results, want one, of the check that was run", len(got))
			}
			if got[0].Status != tt.want || got[0].Reason != tt.reason {
				t.Errorf("got  %s %q\nwant %s %q", got[0].Status, got[0].Reason, tt.want, tt.reason)
			}
			if got[0].Deeper != tt.deeper {
				t.Errorf("it is asked at depth %s, want %s", got[0].Deeper, tt.deeper)
			}
			if found := len(got[0].Findings) > 0; found != (tt.want == checks.Failed) {
				t.Errorf("status %s with %d findings", got[0].Status, len(got[0].Findings))
			}
		})
	}
}

// A fault in one check is neither health nor the end of the others.
func TestRunSurvivesPanics(t *testing.T) {
	quiet := func(*facts.Snapshot) []checks.Finding { return nil }
	found := func(*facts.Snapshot) []checks.Finding {
		return []checks.Finding{finding("core", "dns-7", "answers nothing")}
	}
	tests := map[string]*checks.Check{
		"run":   {Run: func(s *facts.Snapshot) []checks.Finding { return []checks.Finding{{Message: s.Nodes[3].Name}} }},
		"when":  {When: func(*facts.Snapshot) string { panic("no such node") }, Run: found},
		"parts": {Parts: func(*facts.Snapshot) []checks.Part { panic("no such pod") }, Run: found},
	}
	for name, broken := range tests {
		t.Run(name, func(t *testing.T) {
			got := checks.Run(seen(facts.API, nil), []*checks.Check{{Run: found}, broken, {Run: quiet}})
			want := []checks.Status{checks.Failed, checks.Unknown, checks.OK}
			if diff := cmp.Diff(want, statuses(got)); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			if r := got[1]; r.Check != broken || !strings.HasPrefix(r.Reason, "internal error: ") || len(r.Findings) > 0 {
				t.Errorf("got %q with %d findings, want an internal error with none", r.Reason, len(r.Findings))
			}
		})
	}
}

func statuses(results []checks.Result) []checks.Status {
	var out []checks.Status
	for _, r := range results {
		out = append(out, r.Status)
	}
	return out
}

func TestRunFillsInFindings(t *testing.T) {
	grave := finding("shop", "cart-1", "is cut off")
	grave.Severity = checks.Error
	c := &checks.Check{ID: "shop-slow", Severity: checks.Warning, Run: func(*facts.Snapshot) []checks.Finding {
		return []checks.Finding{grave, finding("shop", "cart-2", "is slow")}
	}}
	got := checks.Run(seen(facts.API, nil), []*checks.Check{c})[0].Findings
	for i, want := range []checks.Severity{checks.Error, checks.Warning} {
		if got[i].Check != c || got[i].Severity != want {
			t.Errorf("finding %d: got check %p of severity %s, want %p of %s", i, got[i].Check, got[i].Severity, c, want)
		}
	}
}

// Results stand in the order of the list, and findings in that of their subjects,
// whatever the order in which a check came upon them. Of one subject the check's own
// order is kept: it says the most important first.
func TestRunOrder(t *testing.T) {
	first := []checks.Finding{finding("b", "mail-1", "first"), finding("b", "mail-1", "second"), finding("a", "mail-2", ""), finding("a", "mail-1", "")}
	want := []string{"Pod a/mail-1", "Pod a/mail-2", "Pod b/mail-1 first", "Pod b/mail-1 second"}
	for turn := range 3 {
		found := slices.Concat(first[:2], first[2:])
		if turn > 0 {
			found = slices.Concat(first[2:2+turn], first[:2], first[2+turn:])
		}
		mail := &checks.Check{ID: "mail-lost", Run: func(*facts.Snapshot) []checks.Finding { return found }}
		late := &checks.Check{ID: "alpha-late", Run: func(*facts.Snapshot) []checks.Finding { return nil }}
		results := checks.Run(seen(facts.API, nil), []*checks.Check{mail, late})
		if results[0].Check != mail || results[1].Check != late {
			t.Error("the results do not stand in the order of the list")
		}
		var got []string
		for _, f := range results[0].Findings {
			got = append(got, strings.TrimSpace(fmt.Sprint(f.Subject, " ", f.Message)))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("turn %d (-want +got):\n%s", turn, diff)
		}
	}
}

// A pod that never ran has no log that could be missing.
func TestPodLogs(t *testing.T) {
	pod := func(name string, containers ...facts.Container) *facts.Pod {
		return &facts.Pod{Namespace: "lab", Name: name, Containers: containers}
	}
	waiting := facts.Container{State: facts.State{Phase: facts.Waiting, Reason: "ContainerCreating"}}
	tests := []struct {
		pod  *facts.Pod
		want bool
	}{
		{pod("no-containers"), false},
		{pod("never-started", waiting), false},
		{pod("runs", facts.Container{State: facts.State{Phase: facts.Running}}), true},
		{pod("ended", facts.Container{State: facts.State{Phase: facts.Terminated}}), true},
		{pod("started-again", facts.Container{Restarts: 4, State: waiting.State}), true},
		{pod("ended-before", facts.Container{Ended: &facts.State{Phase: facts.Terminated}, State: waiting.State}), true},
		{pod("second-container", waiting, facts.Container{State: facts.State{Phase: facts.Running}}), true},
	}
	var all []*facts.Pod
	var want []checks.Part
	for _, tt := range tests {
		all = append(all, tt.pod)
		if tt.want {
			want = append(want, checks.Part{Source: facts.PodLogs, Key: "lab/" + tt.pod.Name})
		}
	}
	if diff := cmp.Diff(want, checks.PodLogs(all)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
