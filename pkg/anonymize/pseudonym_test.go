package anonymize

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation"
)

// More letters than there are pseudonyms of their length: each has one all the same, and none
// has another's.
func TestLettersBeyondASCII(t *testing.T) {
	a, seen := seeded(t, 4), map[string]string{}
	put := func(text string) {
		out := a.String(text)
		if other, found := seen[out]; found {
			t.Fatalf("%s and %s both became %s", other, text, out)
		}
		if wrong := validation.IsDNS1123Label(out); len(wrong) > 0 || len(out) < len(text) {
			t.Fatalf("%s became %s: %v", text, out, wrong)
		}
		seen[out] = text
	}
	for r := rune(unicode.MaxASCII + 1); r < 0x9fff; r++ {
		if unicode.IsLetter(r) {
			put(string(r))
		}
	}
	if len(seen) < 26*26*26+26*26 {
		t.Fatalf("%d letters: too few to run out of pseudonyms", len(seen))
	}
	put("qz") // a word of two letters is one of those that find none of their length
	if got := a.String("QZ"); len(got) < 3 || !validUpper(got) {
		t.Errorf("QZ became %s", got)
	}
}

func validUpper(text string) bool {
	for _, c := range text {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

// A name that is one long word takes no more memory than the same letters as many names.
func TestMemoryOfALongName(t *testing.T) {
	const size = 16 << 10
	taken := func(name string) uint64 {
		a := seeded(t, 6)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a.learnNames([]byte(`{"name":"` + name + `"}`))
		_ = a.String(name)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	var many strings.Builder
	for random := rand.NewChaCha8([32]byte{}); many.Len() < size; {
		c := alphabet[random.Uint64()%26]
		if many.WriteByte(c); many.Len()%(longest+1) == longest {
			many.WriteByte('-')
		}
	}
	one, each := taken(strings.ReplaceAll(many.String(), "-", "")), taken(many.String())
	if one > each {
		t.Errorf("a name of %d bytes takes %d bytes as one word, %d as words of %d", size, one, each, longest)
	}
}

// Whatever letters come up, what is a slip of the pen away from a name still is so afterwards.
func TestSlipsStay(t *testing.T) {
	away := func(one, other string) bool {
		for i := range len(one) + 1 {
			for j := range len(other) + 1 {
				if without(one, i) == without(other, j) {
					return one != other
				}
			}
		}
		return false
	}
	for _, slip := range []string{"warehosue", "awrehouse", "warehoues", "warehose", "warehousse", "warejouse"} {
		for seed := range byte(255) {
			a := seeded(t, seed)
			a.learnNames([]byte(`{"name":"warehouse","serviceName":"` + slip + `"}`))
			if one, other := a.String("warehouse"), a.String(slip); !away(one, other) {
				t.Errorf("seed %d: warehouse became %s and %s %s", seed, one, slip, other)
			}
		}
	}
}
