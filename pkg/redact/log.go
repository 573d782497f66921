package redact

import (
	"regexp"
	"strings"
)

// told is how a log has a name and its value: token=x, "token":"x", password: x.
var told = regexp.MustCompile(`([A-Za-z_][\w.-]*)(\\*["']?(?:[ \t]*=[ \t]*|[ \t]*:[ \t]*))(\\*"[^"\n]*"?|'[^'\n]*'?|[^\s"',;&}\]\\]+)`)

// sentence is a value that is one of a sentence: "getting token: Unauthorized".
var sentence = regexp.MustCompile(`^[A-Za-z][a-z]*$`)

// Log takes secrets out of what programs log, and of messages: as Text does, but a sentence
// stays one. A controller's key="namespace/name" and the name of a Secret are no secrets.
func Log(text string) string {
	if mayHold(text) {
		text = replace(told, text, func(m []string) string {
			if !logsSecret(m[1], m[2], m[3]) {
				return m[1] + m[2] + Inside(m[3])
			}
			return m[1] + m[2] + quotedAs(m[3])
		})
		text = replace(flagValue, text, func(m []string) string {
			if !IsSecret(m[1]) {
				return m[0]
			}
			return m[1] + m[2] + Hidden
		})
	}
	return Anywhere(text)
}

// Inside takes out of a value what it holds of names and values itself.
func Inside(value string) string {
	if !strings.ContainsAny(value, "=:") {
		return value
	}
	return replace(told, value, func(m []string) string {
		if !logsSecret(m[1], m[2], m[3]) {
			return m[0]
		}
		return m[1] + m[2] + quotedAs(m[3])
	})
}

// quotedAs hides a value and leaves its quotes, so that JSON stays JSON.
func quotedAs(value string) string {
	start := strings.IndexAny(value, `"'`)
	if start < 0 || strings.Trim(value[:start], `\`) != "" {
		return Hidden
	}
	quote := value[:start+1]
	if len(value) > len(quote) && strings.HasSuffix(value, quote[start:]) {
		end := len(value) - 1
		for end > start+1 && value[end-1] == '\\' {
			end--
		}
		return quote + Hidden + value[end:]
	}
	return quote + Hidden
}

func logsSecret(name, joined, value string) bool {
	switch bare(name) {
	case "key", "keys", "secret", "secrets":
		return false
	}
	if !IsSecret(name) {
		return false
	}
	prose := strings.Contains(joined, ":") && !strings.ContainsAny(joined, `"'`) && sentence.MatchString(value)
	return !prose || strings.Contains(bare(name), "passw")
}
