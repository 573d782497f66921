package facts

import (
	"regexp"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/redact"
)

var (
	// corefileKey is what a Corefile, a copy or a part of one is called in a ConfigMap.
	corefileKey = regexp.MustCompile(`^Corefile|\.(server|override)$`)

	// spaced is a line of a Corefile with a secret in it (coredns plugin/etcd, route53, tsig,
	// azure). One that opens a block names zones.
	spaced     = regexp.MustCompile(`(?m)^([ \t]*(?:credentials|aws_access_key|secret|password|token)[ \t]+)([^\s{:=#][^\n]*)$`)
	opensBlock = regexp.MustCompile(`[ \t]\{[ \t]*(#.*)?$`)
	remark     = regexp.MustCompile(`(?m)(^|[ \t])#[^\n]*$`)
	word       = regexp.MustCompile(`\S+`)

	// pathSetting is a line that says where a secret lies, or whether there is any.
	pathSetting = regexp.MustCompile(`(?m)^[ \t]*["']?[\w.-]+["']?[ \t]*[:=][ \t]*["']?(?:/(?:etc|var|run|usr|opt|srv|mnt|root|home)/[\w./-]*|true|false)["']?[ \t]*$`)
)

// redactConfig takes secrets out of what a ConfigMap has under a key: a setting, or a whole
// file of settings. Lines that say where a secret lies stay.
func redactConfig(key, text string) string {
	if corefileKey.MatchString(key) {
		return redactCorefile(text)
	}
	if redact.Holds(key, text) {
		return redact.Hidden
	}
	if t := strings.TrimSpace(text); strings.HasPrefix(t, "{") {
		return redact.JSON(text)
	}
	var out strings.Builder
	last := 0
	for _, at := range pathSetting.FindAllStringIndex(text, -1) {
		out.WriteString(redact.Text(text[last:at[0]]) + text[at[0]:at[1]])
		last = at[1]
	}
	return redactSpaced(out.String() + redact.Text(text[last:]))
}

// redactCorefile goes by the plugins that take secrets: "secret.corp:53" is a zone and its
// port there, and no name with its value. What comments say may be anything.
func redactCorefile(text string) string {
	return redact.Anywhere(remark.ReplaceAllStringFunc(redactSpaced(text), redact.Text))
}

func redactSpaced(text string) string {
	return spaced.ReplaceAllStringFunc(text, func(line string) string {
		m := spaced.FindStringSubmatch(line)
		if opensBlock.MatchString(m[2]) {
			return line
		}
		return m[1] + word.ReplaceAllString(m[2], redact.Hidden)
	})
}
