// Package redact takes secrets out of text: values whose names are those of secrets, and what
// is a secret wherever it stands. It knows forms, not values: what has neither the form nor
// the name of a secret stays.
package redact

import (
	"regexp"
	"slices"
	"strings"
)

// Hidden stands where a secret stood.
const Hidden = "REDACTED"

var (
	// secretName is what a name holds, without its dashes, that has a secret as value.
	secretName = regexp.MustCompile(`token|passw|passphrase|secret|credential|authorization|certificatedata|authoritydata|keydata|(key|psk)$`)

	// opening is a name that begins a line or what is quoted, with all that follows: where
	// it is a secret's, even what stands behind a space.
	opening = regexp.MustCompile(`(?m)^([ \t]*(?:export[ \t]+)?)([A-Za-z_][\w.-]*)([ \t]*[:=][ \t]*)("(?:[^"\\]|\\[\s\S])*"[^\n]*|'(?:[^']|'')*'[^\n]*|(?:[^\n\\]|\\[\s\S])+)`)

	armoured = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|CERTIFICATE)-----[^"]*?(-----END [A-Z0-9 ]*-----|"|\z)`)
	webToken = regexp.MustCompile(`\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*`)

	// userInfo is what stands before the host of a URL, in JSON too: up to the last "@" before
	// the path, since many write an "@" in a password as it is.
	userInfo = regexp.MustCompile(`(:\\?/\\?/)[^/\s"']+@`)

	// slashed is the same with a slash in the password: then what follows the colon is no port.
	slashed = regexp.MustCompile(`(:\\?/\\?/)[^/\s:@"',]*:([^/\s@"',\[\]]*)/[^\s"']*@`)
	port    = regexp.MustCompile(`^[0-9]*\\?$`)

	bearer = regexp.MustCompile(`(?i)(\b(?:bearer|authorization: *basic)[ \t]+)[\w.+/=~-]{8,}`)

	// bootstrapToken is one of kubeadm's (bootstrap.kubernetes.io/token); the name of an
	// event of a node has nearly that form, and so have two labels of a longer host name.
	bootstrapToken = regexp.MustCompile(`(?:^|[^\w.-])([a-z0-9]{6}\.[a-z0-9]{16})\b`)
	goesOn         = regexp.MustCompile(`^[.-]+[A-Za-z0-9]`)
	eventSuffix    = regexp.MustCompile(`\.[0-9a-f]{16}$`)
)

// IsSecret tells whether a name is one that has a secret as value: "etcd_key", "api-token".
func IsSecret(name string) bool { return secretName.MatchString(bare(name)) }

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

// Text takes values out of lines such as "NAME = value", "NAME: value",
// `Environment="NAME=value"` and "--name value" whose names are those of secrets, lines
// below such a name in YAML that are its value, and what is a secret wherever it stands.
func Text(text string) string {
	if mayHold(text) {
		text = hideNamed(hideBlocks(text), 0)
	}
	return Anywhere(text)
}

// Anywhere takes out what is a secret wherever it stands: private keys, web tokens, passwords in
// URLs, bearer and bootstrap tokens, and certificates, which tell who somebody is.
func Anywhere(text string) string {
	if strings.Contains(text, "-----BEGIN") {
		text = armoured.ReplaceAllStringFunc(text, func(block string) string {
			if strings.HasSuffix(block, `"`) {
				return Hidden + `"`
			}
			return Hidden
		})
	}
	if strings.Contains(text, "eyJ") {
		text = webToken.ReplaceAllString(text, Hidden)
	}
	if strings.Contains(text, "@") {
		text = userInfo.ReplaceAllString(text, "${1}"+Hidden+"@")
		text = replace(slashed, text, func(m []string) string {
			if port.MatchString(m[2]) {
				return m[0]
			}
			return m[1] + Hidden + "@"
		})
	}
	if strings.Contains(text, "earer") || strings.Contains(text, "EARER") || strings.Contains(text, "asic ") {
		text = bearer.ReplaceAllString(text, "${1}"+Hidden)
	}
	if strings.IndexByte(text, '.') < 0 {
		return text
	}
	return hideBootstrap(text)
}

func hideBootstrap(text string) string {
	var out strings.Builder
	last := 0
	for _, at := range bootstrapToken.FindAllStringSubmatchIndex(text, -1) {
		token := text[at[2]:at[3]]
		if !strings.ContainsAny(token, "0123456789") || eventSuffix.MatchString(token) || goesOn.MatchString(text[at[3]:]) {
			continue
		}
		out.WriteString(text[last:at[2]] + Hidden)
		last = at[3]
	}
	return out.String() + text[last:]
}

// deepest is how often quoted values may stand in each other.
const deepest = 4

func hideNamed(text string, depth int) string {
	if depth == deepest {
		if IsSecret(text) {
			return Hidden
		}
		return text
	}
	text = replace(opening, text, func(m []string) string {
		if !IsSecret(m[2]) {
			return m[0]
		}
		return m[1] + m[2] + m[3] + Hidden
	})
	text = each(assignment, text, func(name, _, rest string, query bool) (value, string) {
		if IsSecret(name) {
			return valueOf(rest, true, query), Hidden
		}
		if rest == "" || rest[0] != '"' && rest[0] != '\'' {
			return value{}, ""
		}
		v := valueOf(rest, true, false)
		return v, hideNamed(v.text, depth+1)
	})
	return hideFlagged(text, true)
}

func hideFlagged(text string, lines bool) string {
	return each(flagged, text, func(name, _, rest string, _ bool) (value, string) {
		if !IsSecret(name) || strings.HasPrefix(rest, "-") {
			return value{}, ""
		}
		return valueOf(rest, lines, false), Hidden
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
