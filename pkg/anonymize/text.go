package anonymize

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Append appends a text to dst, its names and addresses replaced. It must be cut only where
// lines end.
func (a *Anonymizer) Append(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		if out, end := a.address(dst, text, i); end > i {
			dst, i = out, end
			continue
		}
		end := i
		switch {
		case wordEnd(text, i) > i:
			end = wordEnd(text, i)
			dst = a.token(dst, text[i:end])
		case text[i] == '\\':
			end = a.escapeEnd(text, i)
			dst = append(dst, text[i:end]...)
		default:
			end++
			dst = append(dst, text[i])
		}
		i = end
	}
	return dst
}

// wordEnd returns where the letters and digits are over that begin at i.
func wordEnd(text []byte, i int) int {
	for i < len(text) {
		n := letter(text[i:])
		if n == 0 && digit(text[i]) {
			n = 1
		}
		if n == 0 {
			break
		}
		i += n
	}
	return i
}

// wordly tells whether a text goes on with a letter or a digit at i.
func wordly(text []byte, i int) bool {
	return i < len(text) && (digit(text[i]) || letter(text[i:]) > 0)
}

// letter returns how many bytes the letter has that a text begins with, 0 where none does.
func letter(text []byte) int {
	c := text[0]
	if c < utf8.RuneSelf {
		if c|0x20 >= 'a' && c|0x20 <= 'z' {
			return 1
		}
		return 0
	}
	if r, n := utf8.DecodeRune(text); unicode.IsLetter(r) {
		return n
	}
	return 0
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// escapeEnd returns where backslashes are over with the letters that belong to them: \n is no
// beginning of a word, but in C:\\new a word follows.
func (a *Anonymizer) escapeEnd(text []byte, i int) int {
	start := i
	for i < len(text) && text[i] == '\\' {
		i++
	}
	rest := text[i:]
	skip := 0
	switch {
	case len(rest) >= 5 && rest[0] == 'u' && allHex(rest[1:5]):
		skip = 5
	case len(rest) >= 3 && rest[0] == 'x' && allHex(rest[1:3]):
		skip = 3
	case len(rest) >= 1 && bytes.IndexByte([]byte("abfnrtv"), rest[0]) >= 0:
		skip = 1
	}
	if quoted := (i-start)%2 == 0; quoted && skip > 0 && a.words.knows(firstWord(rest)) {
		skip = 0
	}
	return i + skip
}

func firstWord(text []byte) []byte {
	n := 0
	for n < len(text) {
		size := letter(text[n:])
		if size == 0 {
			break
		}
		n += size
	}
	return text[:n]
}

func allHex(text []byte) bool {
	for _, c := range text {
		if !digit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// token appends what stands for a run of letters and digits.
func (a *Anonymizer) token(dst, token []byte) []byte {
	if stays(token) {
		return append(dst, token...)
	}
	if isNumber(token) {
		return append(dst, a.hexFor(string(token))...)
	}
	if isPower(token) {
		return append(dst, a.powerFor(string(token))...)
	}
	for len(token) > 0 {
		n := 0
		for n < len(token) && letter(token[n:]) == 0 {
			n++
		}
		dst, token = append(dst, token[:n]...), token[n:]
		word := firstWord(token)
		dst, token = a.words.append(dst, word), token[len(word):]
	}
	return dst
}

// stays tells of a number whose letters are no words: 0xff00, and the eight digits that
// /proc/net is full of.
func stays(token []byte) bool {
	if len(token) > 2 && token[0] == '0' && token[1]|0x20 == 'x' {
		return allHex(token[2:])
	}
	return len(token) == 8 && allHex(token) && hasDigit(token)
}

// isNumber tells of a long hexadecimal number: an id, a checksum.
func isNumber(token []byte) bool {
	return len(token) >= longNumber && allHex(token) && hasDigit(token) && bytes.IndexFunc(token, func(r rune) bool { return r > '9' }) >= 0 && !isPower(token)
}

// isPower tells of an id that JSON takes for a number: digits, one e, digits. What it becomes must be
// one, too.
func isPower(token []byte) bool {
	mantissa, exponent, found := bytes.Cut(bytes.ToLower(token), []byte("e"))
	digits := func(b []byte) bool { return len(b) > 0 && bytes.Trim(b, "0123456789") == nil }
	return found && len(token) >= longNumber && digits(mantissa) && digits(exponent)
}

// longNumber is how many digits an id has at least: those of events have 16, as has what is
// kept of the checksum of a machine's.
const longNumber = 16

func hasDigit(token []byte) bool {
	return bytes.IndexFunc(token, func(r rune) bool { return r <= '9' }) >= 0
}
