package netfilter

import (
	"encoding/binary"
	"strings"
	"testing"
)

// attr writes an attribute.
func attr(kind uint16, data []byte) []byte {
	out := binary.NativeEndian.AppendUint16(nil, uint16(4+len(data)))
	out = append(binary.NativeEndian.AppendUint16(out, kind), data...)
	return append(out, make([]byte, (4-len(data)%4)%4)...)
}

func num(kind uint16, n uint32) []byte { return attr(kind, binary.BigEndian.AppendUint32(nil, n)) }

// val writes an attribute of data that is a value.
func val(kind uint16, data ...byte) []byte { return attr(kind, attr(dataValue, data)) }

// exprOf writes an expression.
func exprOf(name string, attrs ...[]byte) []byte {
	var data []byte
	for _, a := range attrs {
		data = append(data, a...)
	}
	return attr(1, append(attr(exprName, []byte(name+"\x00")), attr(exprData, data)...))
}

// TestExpressions reads what nft and iptables do not write today, but another program may, or
// a later version.
func TestExpressions(t *testing.T) {
	load := func(base, off, size uint32) []byte {
		return exprOf("payload", num(1, 1), num(2, base), num(3, off), num(4, size))
	}
	mark := exprOf("meta", num(1, 1), num(2, metaMark))
	bitwise := func(operation uint32, mask, xor byte) []byte {
		return exprOf("bitwise", num(1, 1), num(2, 1), val(4, mask, 0, 0, 0), val(5, xor, 0, 0, 0), num(6, operation))
	}
	compare := func(operator uint32, data ...byte) []byte {
		return exprOf("cmp", num(1, 1), num(2, operator), val(3, data...))
	}
	drop := exprOf("immediate", num(1, 0), attr(2, attr(dataVerdict, num(1, codeDrop))))
	for _, tt := range []struct {
		name  string
		steps [][]byte
		want  string
	}{
		{"two addresses", [][]byte{load(1, 12, 8), compare(cmpEqual, 10, 0, 0, 1, 10, 0, 0, 2), drop}, "-A x -s 10.0.0.1/32 -d 10.0.0.2/32 -j DROP"},
		{"not two addresses", [][]byte{load(1, 12, 8), compare(cmpNotEqual, 10, 0, 0, 1, 10, 0, 0, 2), drop}, "-A x -m unknown -j DROP"},
		{"half a port", [][]byte{load(2, 2, 1), compare(cmpEqual, 1), drop}, "-A x -m unknown -j DROP"},
		{"data of another size", [][]byte{load(1, 12, 4), compare(cmpEqual, 10), drop}, "-A x -m unknown -j DROP"},
		{"a mark", [][]byte{mark, bitwise(0, 0xf0, 0), compare(cmpEqual, 0x10, 0, 0, 0), drop}, "-A x -m mark --mark 0x10/0xf0 -j DROP"},
		{"a mark that is changed first", [][]byte{mark, bitwise(0, 0xf0, 1), compare(cmpEqual, 0x10, 0, 0, 0), drop}, "-A x -m unknown -j DROP"},
		{"a mark that is shifted first", [][]byte{mark, bitwise(1, 0xf0, 0), compare(cmpEqual, 0x10, 0, 0, 0), drop}, "-A x -m unknown -j DROP"},
		{"an expression of the future", [][]byte{exprOf("aura", num(1, 1)), drop}, "-A x -m unknown -j DROP"},
		{"a register that nothing filled", [][]byte{compare(cmpEqual, 1), drop}, "-A x -m unknown -j DROP"},
		{"a register that is not there", [][]byte{exprOf("cmp", num(1, 77), num(2, 0), val(3, 1)), drop}, "-A x -m unknown -j DROP"},
		{"two sources", [][]byte{load(1, 12, 4), compare(0, 10, 0, 0, 1), load(1, 12, 4), compare(0, 10, 0, 0, 2), drop}, "-A x -s 10.0.0.1/32 -m unknown -j DROP"},
		{"a verdict of the future", [][]byte{exprOf("immediate", num(1, 0), attr(2, attr(dataVerdict, num(1, 99))))}, "-A x -j unknown"},
		{"a map of verdicts", [][]byte{load(2, 2, 2), exprOf("lookup", attr(1, []byte("ports\x00")), num(2, 1), num(3, 0))}, "-A x -j unknown"},
		{"damaged", [][]byte{{200, 0, 1, 0, 1}, drop}, "-A x -m unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := NewNFT(nil)
			var list []byte
			for _, step := range tt.steps {
				list = append(list, step...)
			}
			a := attrs{4: list}
			got := ""
			n.state(&nftTable{family: familyIPv4}, nil).only(&a, func(r *Rule) { got += r.Text("x") })
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestHostileNames keeps lines lines, and words words.
func TestHostileNames(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{word("a b\n-A INPUT -j ACCEPT"), "a?b?-A?INPUT?-j?ACCEPT"},
		{word(""), "?"},
		{word("naïve\xff\""), "na?ve??"},
		{quote("two words"), `"two words"`},
		{quote("plain-1"), "plain-1"},
		{quote("a \"b\" \\ 'c'\n\x1b[0m\xff"), `"a \"b\" \\ \'c\'??[0m?"`},
		{quote(""), `""`},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}

// TestDNAT takes one address and port for an endpoint, and nothing else.
func TestDNAT(t *testing.T) {
	a, b := addr([]byte{10, 0, 0, 1}, false), addr([]byte{10, 0, 0, 2}, false)
	for _, tt := range []struct {
		n    natRange
		want string
	}{
		{natRange{natAddrs | natPorts, a, a, 80, 80}, "10.0.0.1:80"},
		{natRange{natAddrs | natPorts, a, b, 80, 80}, ""},
		{natRange{natAddrs | natPorts, a, a, 80, 90}, ""},
		{natRange{natAddrs, a, a, 0, 0}, ""},
	} {
		r := &Rule{}
		r.natArgs("DNAT", tt.n)
		got := ""
		if r.DNAT.IsValid() {
			got = r.DNAT.String()
		}
		if got != tt.want || !strings.HasPrefix(r.Args, "--to-destination 10.0.0.1") {
			t.Errorf("%v: got %q, %s, want %q", tt.n, got, r.Args, tt.want)
		}
	}
}
