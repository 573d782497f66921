package anonymize

import "bytes"

const (
	consonants = "bcdfghjklmnpqrstvwxz" // no vowel: no word comes of them
	alphabet   = "abcdefghijklmnopqrstuvwxyz"
	tries      = 400
)

// pseudonym makes one up that is nobody's name and no word. Where a short word has none such
// left it is any that nobody has, and does not stay what it is; where there is none of that
// length at all, since letters beyond ASCII have more bytes than one and are more than these
// tell apart, it is longer.
func (w *words) pseudonym(word string) string {
	made := w.slip(word)
	for n := len(word); made == ""; n++ {
		made = w.made(n)
	}
	w.taken[made] = true
	w.pseudonyms[word] = made
	if w.likable(word) {
		likened(w.kin, word)
	}
	return made
}

// likened lets a word be found by others that may be it.
func likened(alike map[string]string, word string) {
	for i := range len(word) + 1 {
		if left := without(word, i); alike[left] == "" || alike[left] > word {
			alike[left] = word
		}
	}
}

// made returns n letters that can stand for a word, "" where all that there are do already.
func (w *words) made(n int) string {
	count, counting := w.counts[n]
	if counting && count == nil {
		return ""
	}
	text := make([]byte, n)
	for try := range 2 * tries {
		letters := consonants
		if try >= tries {
			letters = alphabet
		}
		for i := range text {
			text[i] = w.letter(letters)
		}
		if w.free(string(text)) {
			return string(text)
		}
	}
	if !counting {
		count = bytes.Repeat([]byte{'a'}, n)
	}
	for count != nil && (w.taken[string(count)] || w.stays(string(count))) {
		count = next(count)
	}
	w.counts[n] = count
	return string(count)
}

// next counts on, with letters for digits, and returns nil after the last.
func next(text []byte) []byte {
	for i := range text {
		if text[i]++; text[i] <= 'z' {
			return text
		}
		text[i] = 'a'
	}
	return nil
}

// stays tells whether a word in lower case is left as it is.
func (w *words) stays(word string) bool {
	return len(word) <= 1 || w.core[word] || w.prose[word] && !w.names[word]
}

func (w *words) free(made string) bool {
	return !w.taken[made] && !w.core[made] && !w.prose[made] && !w.names[made]
}

func (w *words) letter(of string) byte { return of[w.random.Uint64()%uint64(len(of))] }

// other returns a letter that is none of these.
func (w *words) other(than ...byte) byte {
	for {
		if c := w.letter(consonants); bytes.IndexByte(than, c) < 0 {
			return c
		}
	}
}

// A word that may be another with a slip of the pen has so many letters at least and at most:
// what is longer than a label of DNS is no name that a selector could miss, and to liken it
// takes the square of its length.
const (
	shortest = 3
	longest  = 63
)

// likable tells of a name that may be another one with a slip of the pen.
func (w *words) likable(word string) bool {
	return len(word) >= shortest && len(word) <= longest && w.names[word]
}

// slip makes the pseudonym of a name that may be another one with a slip of the pen, a letter
// too many, too few, another, or two that changed places: as like to that of the other, since
// a wrong selector is told by the likeness. One that is like a long well-known word may stay
// what it is. It returns "" where there is no such other.
func (w *words) slip(word string) string {
	if !w.likable(word) {
		return ""
	}
	for i := range len(word) + 1 {
		left := without(word, i)
		if known := w.alike[left]; known != "" {
			if made := w.likewise(word, known, known); made != "" && (made == word || w.free(made)) {
				return made
			}
		}
		if other := w.kin[left]; other != "" && len(w.pseudonyms[other]) == len(other) {
			if made := w.likewise(word, other, w.pseudonyms[other]); made != "" && w.free(made) {
				return made
			}
		}
	}
	return ""
}

// likewise does to stand what was done to other to make word of it, or returns "" where that
// was more than one thing. Two letters of stand that are the same cannot change places: one
// becomes another.
func (w *words) likewise(word, other, stand string) string {
	i := 0
	for i < min(len(word), len(other)) && word[i] == other[i] {
		i++
	}
	switch a, b := word[i:], other[i:]; {
	case len(a) == len(b)+1 && a[1:] == b:
		return stand[:i] + string(w.other(word[i])) + stand[i:]
	case len(a)+1 == len(b) && a == b[1:]:
		return stand[:i] + stand[i+1:]
	case len(a) == len(b) && a != "" && a[1:] == b[1:]:
		return stand[:i] + string(w.other(word[i], stand[i])) + stand[i+1:]
	case len(a) == len(b) && len(a) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:]:
		if stand[i] == stand[i+1] {
			return stand[:i] + string(w.other(stand[i])) + stand[i+1:]
		}
		return stand[:i] + stand[i+1:i+2] + stand[i:i+1] + stand[i+2:]
	}
	return ""
}

// without leaves one letter out, none where i is beyond the last.
func without(word string, i int) string {
	if i >= len(word) {
		return word
	}
	return word[:i] + word[i+1:]
}
