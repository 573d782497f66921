package anonymize

import (
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
