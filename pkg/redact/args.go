package redact

import (
	"regexp"
	"strings"
)

var (
	// harmless is a value that is no secret, whatever its name: a path, or a switch.
	harmless = regexp.MustCompile(`^\s*(?:/(?:etc|var|run|usr|opt|srv|mnt|root|home)/[\w./-]*|true|false)\s*$`)

	// namesSecret is the name of a setting that says what a secret is called.
	namesSecret = regexp.MustCompile(`(?i)(name|namespace)$`)
)

// Holds tells whether all of a value is a secret, going by its name. What says where a secret
// lies, what it is called, or whether there is any, is none.
func Holds(name, value string) bool {
	return value != "" && IsSecret(name) && !namesSecret.MatchString(name) && !harmless.MatchString(value)
}

// Args returns a program's arguments without secrets: flags whose names are those of secrets
// lose their value, whether it stands behind a "=" or is the next argument, and of the
// others, scripts too, is left what Text leaves.
func Args(args []string) []string {
	var out []string
	before := "" // the flag whose value comes next, if it has one
	for _, arg := range args {
		name, value, assigned := strings.Cut(arg, "=")
		flag := strings.HasPrefix(name, "-") && !strings.ContainsAny(name, " \t\n")
		switch {
		case before != "" && !strings.HasPrefix(arg, "--"):
			if Holds(before, arg) {
				arg = Hidden
			}
		case flag && assigned && Holds(name, value):
			arg = name + "=" + Hidden
		case flag && assigned && IsSecret(name):
			arg = name + "=" + Anywhere(value)
		case flag && assigned:
			arg = name + "=" + Text(value)
		default:
			arg = Text(arg)
		}
		before = ""
		if flag && !assigned && IsSecret(name) {
			before = name
		}
		out = append(out, arg)
	}
	return out
}
