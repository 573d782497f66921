package apply_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// random returns a JSON value. Null stands in maps alone: the API server's library
// cannot compare lists that hold it, and no object has such.
func random(rnd *rand.Rand, depth int) any {
	words := []string{"", "a", "b", "a/b", "m~n", "~1", "x y", "name"}
	kinds := 7
	if depth == 0 {
		kinds = 4
	}
	switch rnd.IntN(kinds) {
	case 0:
		return words[rnd.IntN(len(words))]
	case 1:
		return int64(rnd.IntN(3))
	case 2:
		return 1<<60 + rnd.Int64N(3) // more digits than a float64 holds
	case 3:
		return rnd.IntN(2) == 0
	case 4, 5:
		out := map[string]any{}
		for range rnd.IntN(5) {
			out[words[1+rnd.IntN(len(words)-1)]] = random(rnd, depth-1)
		}
		if rnd.IntN(6) == 0 {
			out["nothing"] = nil
		}
		return out
	}
	out := []any{}
	for range rnd.IntN(4) {
		out = append(out, random(rnd, depth-1))
	}
	return out
}

// mutate returns a value with a few things changed, down to a leaf.
func mutate(rnd *rand.Rand, v any, depth int) any {
	if depth == 0 || rnd.IntN(8) == 0 {
		return random(rnd, depth)
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, in := range v {
			switch rnd.IntN(4) {
			case 0: // away
			case 1:
				out[k] = mutate(rnd, in, depth-1)
			default:
				out[k] = in
			}
		}
		if rnd.IntN(3) == 0 {
			out["new~/"] = random(rnd, depth-1)
		}
		return out
	case []any:
		out := slices.Clone(v)
		if len(out) > 0 && rnd.IntN(2) == 0 {
			i := rnd.IntN(len(out))
			if out[i] = mutate(rnd, out[i], depth-1); out[i] == nil {
				out[i] = ""
			}
		}
		switch i := rnd.IntN(len(out) + 1); rnd.IntN(3) {
		case 0:
			out = slices.Insert(out, i, random(rnd, depth-1))
		case 1:
			out = slices.Delete(out, i, min(i+1, len(out)))
		}
		return out
	}
	return random(rnd, depth)
}

func TestRandomChanges(t *testing.T) {
	const changes = 800
	rnd := rand.New(rand.NewPCG(20260301, 7))
	var all []fixes.Change
	for len(all) < changes {
		before := random(rnd, 4)
		after := mutate(rnd, before, 4)
		if !reflect.DeepEqual(before, after) {
			all = append(all, fixes.Change{Before: specOf(before), After: specOf(after)})
		}
	}
	refused := 0
	for i, s := range steps(t, all...) {
		c := all[i]
		leads(t, s.Patch, c.Before, c.After)
		leads(t, s.Undo, c.After, c.Before)
		// What somebody wrote in between makes either refuse, unless it is elsewhere. What
		// a repair adds is guarded by the resourceVersion instead.
		for range 3 {
			refused += overwrites(t, s.Undo, c.After, specOf(mutate(rnd, c.After.Object["spec"], 4)), "add", "replace", "remove")
			refused += overwrites(t, s.Patch, c.Before, specOf(mutate(rnd, c.Before.Object["spec"], 4)), "replace", "remove")
		}
		if t.Failed() {
			t.Fatalf("change %d, before and after:\n%s", i, cmp.Diff(c.Before.Object, c.After.Object))
		}
	}
	if refused < changes {
		t.Errorf("only %d patches were refused: what others write is too tame", refused)
	}
}

// overwrites fails the test if a patch goes through although the object is not what it
// was made for, in a place where one of these operations works. It returns 1 where the
// patch was refused.
func overwrites(t *testing.T, ops []apply.Operation, was, now *unstructured.Unstructured, guarded ...string) int {
	t.Helper()
	_, err := patched(t, ops, now)
	if err != nil {
		return 1
	}
	for _, op := range ops {
		if slices.Contains(guarded, op.Op) && !reflect.DeepEqual(value(was.Object, op.Path), value(now.Object, op.Path)) {
			t.Errorf("%s %s overwrites what somebody changed:\n%s", op.Op, op.Path, cmp.Diff(was.Object, now.Object))
		}
	}
	return 0
}

// value returns what stands at a JSON pointer, nil where nothing does.
func value(v any, pointer string) any {
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch in := v.(type) {
		case map[string]any:
			v = in[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}
