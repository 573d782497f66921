package anonymize

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// address appends what stands for an address, a MAC address or a UUID that begins at i, and
// returns where that is over: i where there is none.
func (a *Anonymizer) address(dst, text []byte, i int) (out []byte, end int) {
	c := text[i]
	if !digit(c) && c != ':' && (c|0x20 < 'a' || c|0x20 > 'f') {
		return dst, i
	}
	if i+1 < len(text) && text[i+1] == '.' {
		if out, end := a.nibbles(dst, text, i); end > i {
			return out, end
		}
	}
	if digit(c) {
		if out, end := a.dotted(dst, text, i); end > i {
			return out, end
		}
	}
	end = i
	for colons := 0; end < min(len(text), i+longestLiteral+1) && (text[end] == ':' || allHex(text[end:end+1])); end++ {
		if text[end] == ':' {
			colons++
		}
		if end == i+5 && colons == 0 {
			break // the first part of an IPv6 address has four digits at most
		}
	}
	if bytes.Count(text[i:end], []byte(":")) < 2 {
		return a.uuid(dst, text, i)
	}
	return a.colons(dst, text, i, end)
}

// longestLiteral is how many bytes an IPv6 address has at most, one with an IPv4 address at its
// end and the colon of a sentence behind it. What is longer is not read to its end, since it
// is begun anew behind each of its parts.
const longestLiteral = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255:")

// colons takes an IPv6 address or a MAC address. One with an IPv4 address at its end is left
// to that, since such ranges stay.
func (a *Anonymizer) colons(dst, text []byte, i, end int) ([]byte, int) {
	if end-i > longestLiteral || wordly(text, end) {
		return dst, i
	}
	if end < len(text) && text[end] == '.' {
		end = i + bytes.LastIndexByte(text[i:end], ':') + 1
		return append(dst, text[i:end]...), end
	}
	for end-i > 2 && text[end-1] == ':' && text[end-2] != ':' {
		end-- // a colon of the sentence
	}
	literal := text[i:end]
	if isMAC(literal) {
		return a.mac(dst, literal), end
	}
	addr, err := netip.ParseAddr(string(literal))
	if err != nil {
		return dst, i
	}
	out := a.addresses.of(addr)
	if out == addr {
		return dst, i
	}
	return append(dst, out.String()...), end
}

func isMAC(text []byte) bool {
	if len(text) != len("00:00:00:00:00:00") {
		return false
	}
	for i, c := range text {
		if i%3 == 2 != (c == ':') {
			return false
		}
	}
	return true
}

// mac keeps whether an address is one of a group and whether somebody made it up.
func (a *Anonymizer) mac(dst, literal []byte) []byte {
	plain := strings.ToLower(strings.ReplaceAll(string(literal), ":", ""))
	if plain == "000000000000" || strings.HasPrefix(plain, "01005e") || strings.HasPrefix(plain, "3333") || plain == "ffffffffffff" {
		return append(dst, literal...)
	}
	out := plain[:2] + a.hexFor(plain[2:])
	for i := 0; i < len(out); i += 2 {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, out[i:i+2]...)
	}
	return dst
}

// uuidForm is where the parts of a UUID end.
var uuidForm = []int{8, 13, 18, 23, 36}

func (a *Anonymizer) uuid(dst, text []byte, i int) ([]byte, int) {
	end := i + uuidForm[4]
	if end > len(text) || text[i+8] != '-' || wordly(text, end) {
		return dst, i
	}
	from := i
	for _, to := range uuidForm {
		if !allHex(text[from:i+to]) || to < uuidForm[4] && text[i+to] != '-' {
			return dst, i
		}
		from = i + to + 1
	}
	out := a.hexFor(strings.ReplaceAll(string(text[i:end]), "-", ""))
	return append(dst, out[:8]+"-"+out[8:12]+"-"+out[12:16]+"-"+out[16:20]+"-"+out[20:]...), end
}

// dotted takes an IPv4 address as it is written, backwards as reverse zones have it, or with
// dashes for dots as names of pods and of machines have it. More than four parts are a
// version, and stay.
func (a *Anonymizer) dotted(dst, text []byte, i int) ([]byte, int) {
	mark, parts, end := octets(text, i)
	if len(parts) == 0 {
		return append(dst, text[i:end]...), end
	}
	if out, ok := a.reverse(dst, text, parts, mark, end); ok {
		return out, end
	}
	switch {
	case len(parts) > 4:
		return append(dst, text[i:end]...), end
	case len(parts) < 4 || mark == '-' && end < len(text) && text[end] == '-' && end+1 < len(text) && digit(text[end+1]):
		return dst, i
	case wordly(text, end):
		return dst, i
	}
	addr := a.addresses.of(netip.AddrFrom4([4]byte(parts))).String()
	if mark == '-' {
		addr = strings.ReplaceAll(addr, ".", "-")
	}
	return append(dst, addr...), end
}

// octets reads numbers up to 255 that one kind of mark parts. Where another number is among
// them it returns none, and as the end that of the last number before: none of those is an
// address either, and each is read once.
func octets(text []byte, i int) (mark byte, parts []byte, end int) {
	end = i
	for {
		n, width := 0, 0
		for i+width < len(text) && digit(text[i+width]) && width < 4 {
			n = n*10 + int(text[i+width]-'0')
			width++
		}
		if width == 0 || width > 1 && text[i] == '0' || n > 255 {
			return mark, nil, end
		}
		parts = append(parts, byte(n))
		end = i + width
		if end+1 >= len(text) || !digit(text[end+1]) || text[end] != '.' && text[end] != '-' || mark != 0 && text[end] != mark {
			return mark, parts, end
		}
		mark = text[end]
		i = end + 1
	}
}

// reverse takes the numbers before in-addr.arpa, which may be fewer than four.
func (a *Anonymizer) reverse(dst, text, parts []byte, mark byte, end int) ([]byte, bool) {
	if mark == '-' {
		return dst, false
	}
	rest := bytes.ToLower(text[end:min(len(text), end+len(".in-addr.arpa"))])
	if len(parts) > 4 || !bytes.HasPrefix(rest, []byte(".in-addr.arpa")) {
		return dst, false
	}
	var octets [4]byte
	for i, part := range parts {
		octets[len(parts)-1-i] = part
	}
	out := a.addresses.of(netip.AddrFrom4(octets)).As4()
	kept := out[:len(parts)]
	slices.Reverse(kept)
	for i, part := range kept {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = strconv.AppendUint(dst, uint64(part), 10)
	}
	return dst, true
}

// nibbles takes an IPv6 address, or the first part of one, as a zone of ip6.arpa has it.
func (a *Anonymizer) nibbles(dst, text []byte, i int) ([]byte, int) {
	const zone = "ip6.arpa"
	end := i
	for end+1 < len(text) && end <= i+2*32 && allHex(text[end:end+1]) && text[end+1] == '.' {
		end += 2
	}
	count := (end - i) / 2
	if count == 0 || count > 32 || end+len(zone) > len(text) || !bytes.EqualFold(text[end:end+len(zone)], []byte(zone)) {
		return dst, i
	}
	digits := bytes.Repeat([]byte{'0'}, 32)
	for n := range count {
		digits[count-1-n] = text[i+2*n]
	}
	var addr [16]byte
	if _, err := hex.Decode(addr[:], digits); err != nil {
		return dst, i
	}
	addr = a.addresses.of(netip.AddrFrom16(addr)).As16()
	hex.Encode(digits, addr[:])
	for n := range count {
		dst = append(dst, digits[count-1-n], '.')
	}
	return dst, end
}

// hexFor returns as many other hexadecimal digits, for the same ones always the same.
func (a *Anonymizer) hexFor(number string) string {
	sum := hmac.New(sha256.New, a.key[:])
	var out []byte
	for more := []byte(strings.ToLower(number)); len(out) < len(number); {
		sum.Write(more)
		more = sum.Sum(nil)
		out = hex.AppendEncode(out, more)
	}
	return string(out[:len(number)])
}

// powerFor returns other digits around the same e, none of them a 0, with which no number of JSON
// begins that goes on.
func (a *Anonymizer) powerFor(number string) string {
	out := []byte(number)
	for i, c := range []byte(a.hexFor(number)) {
		if out[i]|0x20 != 'e' {
			out[i] = '1' + c%9
		}
	}
	return string(out)
}
