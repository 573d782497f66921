package apply

import (
	"slices"
	"strings"
)

// absent stands for a member that is not there.
type absent struct{}

// merge3 returns what now becomes when the way from base to want is gone in it as well:
// what others changed is kept, and where they changed the very same, want holds. Lists of
// what has names are merged by name, texts line by line.
func merge3(base, want, now any) any {
	switch {
	case sameValue(base, want):
		return now
	case sameValue(base, now):
		return want
	}
	switch w := want.(type) {
	case map[string]any:
		b, okB := base.(map[string]any)
		n, okN := now.(map[string]any)
		if okB && okN {
			return mergeMaps(b, w, n)
		}
	case []any:
		b, n := namesOf(base), namesOf(now)
		if x := namesOf(want); b != nil && n != nil && x != nil {
			return mergeLists(b, x, n)
		}
	case string:
		b, okB := base.(string)
		n, okN := now.(string)
		if okB && okN && strings.Contains(b+w+n, "\n") {
			return mergeText(b, w, n)
		}
	}
	return want
}

func member(m map[string]any, key string) any {
	if v, found := m[key]; found {
		return v
	}
	return absent{}
}

func mergeMaps(base, want, now map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range []map[string]any{base, want, now} {
		for key := range m {
			b, w, n := member(base, key), member(want, key), member(now, key)
			v := n
			switch {
			case !changed(b, w):
			case slices.Contains([]bool{missing(b), missing(w), missing(n)}, true): // nothing to merge
				v = w
			default:
				v = merge3(b, w, n)
			}
			if !missing(v) {
				out[key] = v
			}
		}
	}
	return out
}

func missing(v any) bool {
	_, is := v.(absent)
	return is
}

func changed(a, b any) bool {
	return missing(a) != missing(b) || !missing(a) && !sameValue(a, b)
}

// named is a list whose elements have names.
type named struct {
	order []string
	by    map[string]any
}

func namesOf(v any) *named {
	list, ok := v.([]any)
	if !ok {
		return nil
	}
	out := &named{by: map[string]any{}}
	for _, element := range list {
		m, _ := element.(map[string]any)
		name, ok := m["name"].(string)
		if _, twice := out.by[name]; !ok || twice {
			return nil
		}
		out.order = append(out.order, name)
		out.by[name] = element
	}
	return out
}

// mergeLists keeps the order of now; what comes back stands at the end.
func mergeLists(base, want, now *named) []any {
	merged := mergeMaps(base.by, want.by, now.by)
	out := []any{}
	for _, name := range slices.Concat(now.order, want.order) {
		if v, left := merged[name]; left {
			out = append(out, v)
			delete(merged, name)
		}
	}
	return out
}

// mergeText merges line by line: between two lines that all three have in common, in
// order, stands what was changed; changed on both sides, want's.
func mergeText(base, want, now string) string {
	b, w, n := slices.Collect(strings.Lines(base)), slices.Collect(strings.Lines(want)), slices.Collect(strings.Lines(now))
	inWant, inNow := common(b, w), common(b, n)
	var out strings.Builder
	i, j, k := 0, 0, 0
	for at := 0; at <= len(b); at++ {
		x, y := len(w), len(n)
		if at < len(b) {
			x, y = inWant[at], inNow[at]
			if x < 0 || y < 0 {
				continue
			}
		}
		was, to, is := strings.Join(b[i:at], ""), strings.Join(w[j:x], ""), strings.Join(n[k:y], "")
		if was == to {
			to = is
		}
		out.WriteString(to)
		if at < len(b) {
			out.WriteString(b[at])
		}
		i, j, k = at+1, x+1, y+1
	}
	return out.String()
}

// common returns for each line of a where it stands in b, in the longest sequence of
// lines that they share, or -1.
func common(a, b []string) []int {
	best := make([][]int, len(a)+1)
	for i := range best {
		best[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			best[i][j] = max(best[i+1][j], best[i][j+1])
			if a[i] == b[j] {
				best[i][j] = max(best[i][j], best[i+1][j+1]+1)
			}
		}
	}
	out := make([]int, len(a))
	for i, j := 0, 0; i < len(a); i++ {
		out[i] = -1
		for next := j; next < len(b); next++ {
			if a[i] == b[next] && best[i][j] == best[i+1][next+1]+1 {
				out[i], j = next, next+1
				break
			}
		}
	}
	return out
}
