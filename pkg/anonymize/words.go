package anonymize

import (
	"bytes"
	_ "embed"
	"math/rand/v2"
	"strings"
	"sync"
)

// coreText lists the words that stay whatever the cluster calls by them: those that checks
// look for, names of fields, of network plugins and of their parts.
//
//go:embed core.txt
var coreText string

// proseText lists words of plain English, which stay where the cluster calls nothing by them.
//
//go:embed prose.txt
var proseText string

// moreText has words of the first kind that no source of ours holds.
//
//go:embed more.txt
var moreText string

// vocabulary is what the lists say: it never changes.
type vocabulary struct {
	core, prose map[string]bool
	alike       map[string]string // a long word by what is left of it without one letter
}

var listedWords = sync.OnceValue(func() *vocabulary {
	v := &vocabulary{core: listed(coreText, moreText), prose: listed(proseText), alike: map[string]string{}}
	for word := range v.core {
		if len(word) >= longWord {
			likened(v.alike, word)
		}
	}
	return v
})

// words replaces words by pseudonyms.
type words struct {
	*vocabulary
	names      map[string]bool   // words of this cluster's names
	pseudonyms map[string]string // by word
	taken      map[string]bool   // the pseudonyms that were given
	kin        map[string]string // a name by what is left of it without one letter
	counts     map[int][]byte    // by length, up to where none is left to be given; nil: to the end
	random     *rand.ChaCha8
}

func newWords(random *rand.ChaCha8) words {
	return words{vocabulary: listedWords(), names: map[string]bool{}, pseudonyms: map[string]string{}, taken: map[string]bool{}, kin: map[string]string{}, counts: map[int][]byte{}, random: random}
}

// longWord is how many letters a well-known word has at least of which a slip of the pen is
// told by its likeness too: "kubernets".
const longWord = 8

func listed(texts ...string) map[string]bool {
	out := map[string]bool{}
	for _, text := range texts {
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "#") {
				for _, word := range strings.Fields(line) {
					out[word] = true
				}
			}
		}
	}
	return out
}

// learn notes the words of a name.
func (w *words) learn(name []byte) {
	for len(name) > 0 {
		word := firstWord(name)
		if len(word) > 1 && !w.core[string(word)] {
			w.names[strings.ToLower(string(word))] = true
		}
		name = name[max(1, len(word)):]
	}
}

// knows tells whether a word is one that is listed or a name.
func (w *words) knows(word []byte) bool {
	lower := bytes.ToLower(word)
	return w.core[string(lower)] || w.prose[string(lower)] || w.names[string(lower)]
}

// append appends a word or what stands for it. One that is made of several, as CamelCase has
// them, is taken apart unless it is a name itself, and so is what is behind its first: that,
// where it is no longer than a name has letters, since every rest of a long word is looked at.
func (w *words) append(dst, word []byte) []byte {
	for whole := true; len(word) > 0; whole = false {
		n := hump(word)
		if n < len(word) && (whole || len(word) <= longest) && w.one(word) {
			n = len(word)
		}
		dst, word = w.replace(dst, word[:n]), word[n:]
	}
	return dst
}

// one tells whether a word that looks like several is replaced, or stays, as one.
func (w *words) one(word []byte) bool {
	var few [64]byte
	lower := lowered(few[:0], word)
	return w.stays(string(lower)) || w.names[string(lower)] && !w.wellKnown(word)
}

// lowered appends a word with the letters of ASCII in lower case.
func lowered(dst, word []byte) []byte {
	for _, c := range word {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// replace appends what stands for a word that is taken as one.
func (w *words) replace(dst, word []byte) []byte {
	var few [64]byte
	lower := lowered(few[:0], word)
	if w.stays(string(lower)) {
		return append(dst, word...)
	}
	stand, found := w.pseudonyms[string(lower)]
	if !found {
		stand = w.pseudonym(string(lower))
	}
	for i := range len(stand) {
		c, was := stand[i], word[min(i, len(word)-1)]
		if was >= 'A' && was <= 'Z' {
			c &^= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// wellKnown tells whether a word consists of words that stay anyway.
func (w *words) wellKnown(word []byte) bool {
	for len(word) > 0 {
		n := hump(word)
		if n > 1 && !w.core[string(bytes.ToLower(word[:n]))] {
			return false
		}
		word = word[n:]
	}
	return true
}

// hump returns the length of the first word inside a CamelCase one: "pod" of podIP, "IP" of
// IPAddress.
func hump(word []byte) int {
	upper := func(i int) bool { return i < len(word) && word[i] >= 'A' && word[i] <= 'Z' }
	n := 0
	for upper(n) {
		n++
	}
	switch {
	case n == len(word):
		return n
	case n > 1:
		return n - 1
	}
	for n++; n < len(word) && !upper(n); n++ {
	}
	return min(n, len(word))
}
