package agent

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// hidden stands where a secret stood.
const hidden = "REDACTED"

var (
	// secretName is what a name holds, without its dashes, that has a secret as value.
	secretName = regexp.MustCompile(`token|passw|passphrase|secret|credential|authorization|certificatedata|authoritydata|keydata|(key|psk)$`)

	// assignment is a name, what joins it to a value, and that: quoted, over lines too,
	// or a word.
	assignment = regexp.MustCompile(`([A-Za-z_][\w.-]*)(\\*["']?[ \t]*[:=][ \t]*)(\\*"[^"]*"?|'[^']*'?|[^\s"',;}\]]+)`)

	// flagValue is a flag and the word after it.
	flagValue = regexp.MustCompile(`(--?[A-Za-z][\w-]*)((?:[ \t]|\\\n)+)([^\s"'-][^\s"']*|"[^"]*"?|'[^']*'?)`)

	// opening is a name that begins a line or what is quoted, with all that follows: where
	// it is a secret's, even what stands behind a space.
	opening = regexp.MustCompile(`(?m)^([ \t]*(?:export[ \t]+)?)([A-Za-z_][\w.-]*)([ \t]*[:=][ \t]*)("[^"]*"[^\n]*|'[^']*'[^\n]*|(?:[^\n\\]|\\[\s\S])+)`)

	privateKey = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[^"]*?(-----END [A-Z ]*-----|"|\z)`)
	webToken   = regexp.MustCompile(`\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*`)

	// userInfo is what stands before the host of a URL, in JSON too: up to the last "@" before
	// the path, since many write an "@" in a password as it is.
	userInfo = regexp.MustCompile(`(:\\?/\\?/)[^/\s"']+@`)

	// slashed is the same with a slash in the password: then what follows the colon is no port.
	slashed = regexp.MustCompile(`(:\\?/\\?/)[^/\s:@"',]*:([^/\s@"',\[\]]*)/[^\s"']*@`)
	port    = regexp.MustCompile(`^[0-9]*\\?$`)

	bearer = regexp.MustCompile(`(?i)(\bbearer[ \t]+)[\w.+/=~-]{8,}`)
)

func isSecret(name string) bool { return secretName.MatchString(bare(name)) }

func bare(name string) string {
	return strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(name))
}

// mayHold tells whether anything in a text could be a secret's name: mostly nothing is,
// and to look for it by form takes a hundred times as long.
func mayHold(text string) bool {
	text = bare(text)
	return slices.ContainsFunc([]string{"token", "passw", "passphrase", "secret", "credential", "authorization", "certificatedata", "authoritydata", "key", "psk"},
		func(word string) bool { return strings.Contains(text, word) })
}

// plain is the filter of most files.
func plain(text string) (string, error) { return hideSecrets(text), nil }

// hideSecrets takes values out of lines such as "NAME = value", "NAME: value",
// `Environment="NAME=value"` and "--name value" whose names are those of secrets, and
// what is a secret wherever it stands.
func hideSecrets(text string) string {
	if mayHold(text) {
		text = hideNamed(text, 0)
	}
	return hideAnywhere(text)
}

func hideAnywhere(text string) string {
	text = privateKey.ReplaceAllStringFunc(text, func(key string) string {
		if strings.HasSuffix(key, `"`) {
			return hidden + `"`
		}
		return hidden
	})
	if strings.Contains(text, "eyJ") {
		text = webToken.ReplaceAllString(text, hidden)
	}
	if strings.Contains(text, "@") {
		text = userInfo.ReplaceAllString(text, "${1}"+hidden+"@")
		text = replace(slashed, text, func(m []string) string {
			if port.MatchString(m[2]) {
				return m[0]
			}
			return m[1] + hidden + "@"
		})
	}
	if strings.Contains(strings.ToLower(text), "bearer") {
		text = bearer.ReplaceAllString(text, "${1}"+hidden)
	}
	return text
}

// deepest is how often a value may hold names and values itself: "A='--b=c=d'" is twice.
const deepest = 4

func hideNamed(text string, depth int) string {
	if depth == deepest {
		if isSecret(text) {
			return hidden
		}
		return text
	}
	text = replace(opening, text, func(m []string) string {
		if !isSecret(m[2]) {
			return m[0]
		}
		return m[1] + m[2] + m[3] + hidden
	})
	text = replace(assignment, text, func(m []string) string {
		name, value := m[1]+m[2], m[3]
		switch quote := strings.IndexAny(value, `"'`); {
		case strings.Trim(value, `"'`) == hidden:
			return m[0]
		case isSecret(m[1]):
			return name + hidden
		case quote == 0:
			return name + value[:1] + hideNamed(value[1:], depth+1)
		default:
			return name + hideNamed(value, depth+1)
		}
	})
	return replace(flagValue, text, func(m []string) string {
		if !isSecret(m[1]) {
			return m[0]
		}
		return m[1] + m[2] + hidden
	})
}

// replace replaces every match by what with makes of it and its groups.
func replace(form *regexp.Regexp, text string, with func(groups []string) string) string {
	var out strings.Builder
	last := 0
	for _, at := range form.FindAllStringSubmatchIndex(text, -1) {
		groups := make([]string, len(at)/2)
		for i := range groups {
			if at[2*i] >= 0 {
				groups[i] = text[at[2*i]:at[2*i+1]]
			}
		}
		out.WriteString(text[last:at[0]] + with(groups))
		last = at[1]
	}
	return out.String() + text[last:]
}

// hideJSON takes the values of secret names out of a text that is JSON or was meant to be,
// and leaves everything else as it stands, faults included.
func hideJSON(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		if text[i] != '"' {
			out.WriteByte(text[i])
			i++
			continue
		}
		end := stringEnd(text, i)
		word := text[i:end]
		colon := skipSpace(text, end)
		if colon == len(text) || text[colon] != ':' {
			out.WriteString(hideInside(word))
			i = end
			continue
		}
		i = skipSpace(text, colon+1)
		out.WriteString(word + text[end:i])
		if name, ok := unquote(word); !ok || isSecret(name) {
			out.WriteString(`"` + hidden + `"`)
			i = valueEnd(text, i)
		}
	}
	return out.String()
}

// hideInside looks into a string that is JSON itself, such as one of an annotation.
func hideInside(word string) string {
	inner, ok := unquote(word)
	if !ok || !strings.HasPrefix(strings.TrimSpace(inner), "{") {
		return word
	}
	clean := hideJSON(inner)
	if clean == inner {
		return word
	}
	quoted, err := json.Marshal(clean)
	if err != nil {
		return `"` + hidden + `"`
	}
	return string(quoted)
}

func unquote(word string) (text string, ok bool) {
	err := json.Unmarshal([]byte(word), &text)
	return text, err == nil
}

// stringEnd returns where the string that begins at i is over: behind its quote, or at
// the end of the text.
func stringEnd(text string, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

func skipSpace(text string, i int) int {
	for i < len(text) && strings.IndexByte(" \t\r\n", text[i]) >= 0 {
		i++
	}
	return i
}

// valueEnd returns where the value that begins at i is over.
func valueEnd(text string, i int) int {
	for depth := 0; i < len(text); {
		switch text[i] {
		case '"':
			i = stringEnd(text, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
		case ',', '\n':
			if depth == 0 {
				return i
			}
			i++
			continue
		default:
			i++
			continue
		}
		if depth == 0 {
			return i
		}
	}
	return len(text)
}
