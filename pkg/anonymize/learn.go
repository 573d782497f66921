package anonymize

import (
	"bytes"
	"net/netip"
)

// learnRanges notes every range of addresses that a line holds, such as 10.244.0.0/16.
func (a *Anonymizer) learnRanges(line []byte) {
	for at := 0; ; {
		next := bytes.IndexByte(line[at:], '/')
		if next < 0 {
			return
		}
		at += next + 1
		start, end := at-1, at
		for start > 0 && (line[start-1] == '.' || line[start-1] == ':' || allHex(line[start-1:start])) {
			start--
		}
		for end < len(line) && end < at+3 && digit(line[end]) {
			end++
		}
		if end == at || at-1-start < 2 {
			continue
		}
		if p, err := netip.ParsePrefix(string(line[start:end])); err == nil && !p.Addr().Is4In6() {
			a.addresses.learn(p)
		}
	}
}

// learnNames notes what a line of JSON calls by a name: the values of fields whose names end
// in "name", of namespaces, hosts and images, and of labels and selectors.
func (a *Anonymizer) learnNames(line []byte) {
	for at := 0; ; {
		next := bytes.Index(line[at:], []byte(`":`))
		if next < 0 {
			return
		}
		key := line[bytes.LastIndexByte(line[at:at+next], '"')+at+1 : at+next]
		at += next + 2
		for at < len(line) && line[at] == ' ' {
			at++
		}
		switch {
		case at == len(line):
			return
		case line[at] == '"' && naming(key):
			a.words.learn(quoted(line[at:]))
		case line[at] == '{' && labelling(key):
			at = a.learnValues(line, at)
		case line[at] == '[' && bytes.EqualFold(key, []byte("hosts")):
			hosts, _, _ := bytes.Cut(line[at:], []byte("]"))
			a.words.learn(hosts)
			at += len(hosts)
		}
	}
}

func naming(key []byte) bool {
	lower := bytes.ToLower(key)
	for _, end := range []string{"name", "namespace", "host", "image"} {
		if bytes.HasSuffix(lower, []byte(end)) {
			return true
		}
	}
	return false
}

func labelling(key []byte) bool {
	switch string(key) {
	case "labels", "matchLabels", "selector", "nodeSelector":
		return true
	}
	return false
}

// learnValues takes the keys and values of a flat object that begins at i, and returns where that ends
// or where what is no text begins.
func (a *Anonymizer) learnValues(line []byte, i int) int {
	for i++; i < len(line) && line[i] == '"'; {
		key := quoted(line[i:])
		a.words.learn(key)
		i += len(key) + 2
		for i < len(line) && (line[i] == ':' || line[i] == ' ') {
			i++
		}
		if i >= len(line) || line[i] != '"' {
			break
		}
		value := quoted(line[i:])
		a.words.learn(value)
		for i += len(value) + 2; i < len(line) && (line[i] == ',' || line[i] == ' '); {
			i++
		}
	}
	return min(i, len(line))
}

// quoted returns what stands in the quotes that a text begins with, escapes as they are.
func quoted(text []byte) []byte {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[1:i]
		}
	}
	return text[min(1, len(text)):]
}
