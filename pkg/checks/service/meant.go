package service

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// group is the pods of one workload, or a pod on its own.
type group struct {
	owner  facts.Ref
	name   string
	pod    *facts.Pod        // one of them
	labels map[string]string // what all of them carry
}

// miss is the one label of a selector that a group lacks.
type miss struct {
	group
	key           string // of the selector
	newKey, value string // what the pods carry instead; newKey is empty where nothing
}

// meant returns the group that a Service is meant for, where one correction of its
// selector stands out.
func meant(s *facts.Snapshot, svc *corev1.Service) (miss, bool) {
	var found []miss
	for _, g := range groups(s, svc.Namespace) {
		if m, ok := misses(svc, g); ok && plausible(s, svc, m) {
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return miss{}, false
	}
	for _, m := range found[1:] {
		if m.key != found[0].key || m.newKey != found[0].newKey || m.value != found[0].value {
			return miss{}, false
		}
	}
	return found[0], true
}

// groups returns the pods of a namespace by workload. Jobs serve nothing.
func groups(s *facts.Snapshot, namespace string) []group {
	var out []group
	at := map[facts.Ref]int{}
	for _, p := range s.PodsIn(namespace) {
		if p.Finished() || p.Deleting || p.Owner.Kind == "Job" {
			continue
		}
		i, known := at[p.Owner]
		if p.Owner.Kind == "" || !known {
			g := group{owner: p.Owner, name: p.Owner.Name, pod: p, labels: maps.Clone(p.Labels)}
			if p.Owner.Kind == "" {
				g.name = p.Name
			}
			at[p.Owner] = len(out)
			out = append(out, g)
			continue
		}
		maps.DeleteFunc(out[i].labels, func(k, v string) bool { return p.Labels[k] != v })
	}
	return out
}

// identifies tells whether people write under this key what a workload is.
func identifies(key string) bool {
	switch key {
	case "app", "run", "name", "service", "component", "k8s-app", "app.kubernetes.io/name", "app.kubernetes.io/component":
		return true
	}
	return false
}

// misses finds the label of the selector that the group lacks, if it is just one, and
// what the group carries in its place.
func misses(svc *corev1.Service, g group) (miss, bool) {
	m := miss{group: g}
	for _, key := range slices.Sorted(maps.Keys(svc.Spec.Selector)) {
		if got, found := g.labels[key]; found && got == svc.Spec.Selector[key] {
			continue
		}
		if m.key != "" {
			return miss{}, false
		}
		m.key = key
	}
	if m.key == "" {
		return miss{}, false
	}
	if value, found := g.labels[m.key]; found {
		m.newKey, m.value = m.key, value
		return m, true
	}
	want := svc.Spec.Selector[m.key]
	for _, key := range slices.Sorted(maps.Keys(g.labels)) {
		_, used := svc.Spec.Selector[key]
		alike := identifies(key) && identifies(m.key) || slip(m.key, key)
		if g.labels[key] == want && !used && alike {
			m.newKey, m.value = key, want
			return m, true
		}
	}
	return m, true
}

// changing are labels that say which of several alike pods serves just now: a switch of
// blue and green, the leader of a database. That no pod has the value is a state, no slip.
var changing = regexp.MustCompile(`(?i)version|revision|release|track|colou?r|slot|shard|zone|stage|env|role|leader|primary|master|active|standby|replica|instance`)

// plausible tells whether the group is what the Service is meant for.
func plausible(s *facts.Snapshot, svc *corev1.Service, m miss) bool {
	if changing.MatchString(m.key) {
		return false
	}
	namesake := svc.Name == m.name
	switch {
	case m.newKey == "": // nothing in its place
		return namesake && !taken(s, svc, m)
	case m.newKey != m.key: // the same value under another key
		return namesake || !taken(s, svc, m)
	case slip(svc.Spec.Selector[m.key], m.value):
		return namesake || !taken(s, svc, m)
	}
	return namesake && !taken(s, svc, m)
}

// taken tells whether another Service selects the group.
func taken(s *facts.Snapshot, svc *corev1.Service, m miss) bool {
	return slices.ContainsFunc(s.Services, func(o *corev1.Service) bool {
		return o != svc && o.Namespace == svc.Namespace && len(o.Spec.Selector) > 0 && facts.Matches(o.Spec.Selector, m.pod.Labels)
	})
}

// slip tells whether one word may be the other with a slip of the pen: one change in
// three letters at most, and no more than two. Words that differ in their digits or in
// a short last part (web-1 and web-2, api-eu and api-us) are members of a series.
func slip(a, b string) bool {
	if a == b || series(a, b) {
		return false
	}
	n := distance(a, b)
	return n <= 2 && 3*n <= max(len(a), len(b))
}

var digits = regexp.MustCompile(`[0-9]+`)

func series(a, b string) bool {
	if digits.ReplaceAllString(a, "") == digits.ReplaceAllString(b, "") {
		return true
	}
	i, j := strings.LastIndexAny(a, "-_."), strings.LastIndexAny(b, "-_.")
	return i >= 0 && j >= 0 && a[:i] == b[:j] && len(a)-i <= 4 && len(b)-j <= 4
}

// distance counts the letters to insert, delete, replace or swap with the next one.
func distance(a, b string) int {
	if len(a) > 63 || len(b) > 63 {
		return 64 // no label value is that long; a key with its prefix may be
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

func labelText(set map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(set)) {
		out = append(out, fmt.Sprintf("%s=%s", k, set[k]))
	}
	return strings.Join(out, ",")
}
