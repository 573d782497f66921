package netfilter

import (
	"bytes"
	"fmt"
	"slices"
)

// Elements takes a message with elements of a wanted set.
func (n *NFT) Elements(ref SetRef, data []byte) error {
	const elements = 3
	_, a, err := message(data)
	if err != nil {
		return err
	}
	t := n.tables[ref.Family][ref.Table]
	if t == nil {
		return nil
	}
	list := t.sets[ref.Set]
	eachAttr(a[elements], func(_ uint16, data []byte) {
		if e, ok := readElement(data); ok {
			list = append(list, e)
		} else {
			t.cut[ref.Set] = true
		}
	})
	if len(list) > mostElements {
		return fmt.Errorf("set %s has more than %d elements", word(ref.Set), mostElements)
	}
	t.sets[ref.Set] = list
	return nil
}

// intervalEnd marks an element that is the first key after a range.
const intervalEnd = 1

func readElement(b []byte) (Element, bool) {
	const key, value, flags, keyEnd = 1, 2, 3, 10
	a, whole := parseAttrs(b)
	e := Element{key: slices.Clone(a.value(key)), end: slices.Clone(a.value(keyEnd))}
	if v, ok := readVerdict(a[value]); ok {
		e.verdict = v
	} else {
		e.value = slices.Clone(a.value(value))
	}
	e.closes = a.u32(flags)&intervalEnd != 0
	return e, whole && e.key != nil
}

// ranges sorts the elements of a set, and joins those of a set of ranges, which come as the
// first of each and the first after it.
func ranges(list []Element) []Element {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Element) int {
		if order := bytes.Compare(a.key, b.key); order != 0 {
			return order
		}
		// What closes one range stands before what opens the next.
		return map[bool]int{true: -1, false: 0}[a.closes] - map[bool]int{true: -1, false: 0}[b.closes]
	})
	spans := slices.ContainsFunc(list, func(e Element) bool { return e.closes })
	var out []Element
	for i, e := range list {
		if e.closes {
			continue
		}
		if spans {
			e.end = bytes.Repeat([]byte{0xff}, len(e.key))
			if i+1 < len(list) {
				e.end = before(list[i+1].key)
			}
		}
		out = append(out, e)
	}
	return out
}

// before returns the key before.
func before(key []byte) []byte {
	out := slices.Clone(key)
	for i := len(out) - 1; i >= 0; i-- {
		out[i]--
		if out[i] != 0xff {
			break
		}
	}
	return out
}
