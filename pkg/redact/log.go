package redact

import (
	"regexp"
	"strings"
)

// sentence is a value that is one of a sentence: "getting token: Unauthorized".
var sentence = regexp.MustCompile(`^[A-Za-z][a-z]*$`)

// Log takes secrets out of what programs log, and of messages: as Text does, but a sentence
// stays one. A controller's key="namespace/name" and the name of a Secret are no secrets.
func Log(text string) string {
	if mayHold(text) {
		text = each(assignment, text, func(name, joint, rest string, query bool) (value, string) {
			if !logsSecret(name) {
				return value{}, ""
			}
			v := valueOf(rest, false, query)
			if v.before == "" && isProse(name, joint, v.text) {
				return value{}, ""
			}
			return v, Hidden
		})
		text = hideFlagged(text, false)
	}
	return Anywhere(text)
}

func logsSecret(name string) bool {
	switch bare(name) {
	case "key", "keys", "secret", "secrets":
		return false
	}
	return IsSecret(name)
}

func isProse(name, joint, text string) bool {
	return strings.Contains(joint, ":") && !strings.ContainsAny(joint, `"'`) && sentence.MatchString(text) && !strings.Contains(bare(name), "passw")
}
