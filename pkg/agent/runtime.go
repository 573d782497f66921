package agent

import (
	"regexp"
	"strings"
)

var (
	// runtimeKey begins a line of containerd's or CRI-O's configuration that is kept.
	runtimeKey = regexp.MustCompile(`^\s*(bin_dirs?|conf_dir|max_conf_num|conf_template|ip_pref|network_dir|plugin_dirs|cni_default_network|SystemdCgroup|version|imports|disabled_plugins)\s*=(.*)$`)

	// section is the head of one. One in brackets and quotes at once may be the element
	// of an array, of a registry's user and password say, so that it is none here.
	section = regexp.MustCompile(`^\s*(\[{1,2}[A-Za-z][\w."':/-]*\]{1,2})\s*(#.*)?$`)

	// tomlValue is a value in one line, or the beginning of an array that goes on.
	tomlValue = regexp.MustCompile(`^\s*(\[?\s*((?:"[^"]*"|'[^']*'|\w+)(?:\s*,\s*(?:"[^"]*"|'[^']*'|\w+))*\s*,?)?\s*\]?)\s*(#.*)?$`)

	quoted = regexp.MustCompile(`"([^"]*)"|'([^']*)'`)
)

const mostArrayLines = 50

// runtimeLines keeps of a runtime's TOML the lines about CNI and the heads of the sections
// that they stand in, and nothing else: passwords of registries lie beside them. What
// stands in a text over several lines is none of them.
func runtimeLines(text string) (string, error) {
	var out strings.Builder
	keep := func(line string) { out.WriteString(strings.TrimRight(line, " \t\r\n") + "\n") }
	inText, left := false, 0 // lines that the array may still go on for
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if odd := strings.Count(line, `"""`)%2 != strings.Count(line, `'''`)%2; odd || inText {
			inText = inText != odd
			left = 0
			continue
		}
		if left > 0 {
			left = arrayGoesOn(line, left, keep)
			continue
		}
		if m := section.FindStringSubmatch(line); m != nil && !strings.Contains(m[1], "registry") {
			keep(m[1])
			continue
		}
		m := runtimeKey.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		value := tomlValue.FindStringSubmatch(m[2])
		if value == nil {
			continue
		}
		keep(m[1] + " = " + value[1])
		if strings.HasPrefix(value[1], "[") && !strings.HasSuffix(strings.TrimSpace(value[1]), "]") {
			left = mostArrayLines
		}
	}
	return out.String(), nil
}

// arrayGoesOn keeps a line of an array of strings, and returns how many may follow it.
func arrayGoesOn(line string, left int, keep func(string)) int {
	value := tomlValue.FindStringSubmatch(line)
	if value == nil {
		return 0
	}
	keep("  " + strings.TrimSpace(value[1]))
	if strings.HasSuffix(strings.TrimSpace(value[1]), "]") {
		return 0
	}
	return left - 1
}

// runtimeWords returns the strings that runtimeLines kept of the keys, in their order.
func runtimeWords(text string, keys ...string) []string {
	var out []string
	wanted := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := runtimeKey.FindStringSubmatch(line); m != nil {
			wanted = false
			for _, key := range keys {
				wanted = wanted || m[1] == key
			}
			line = m[2]
		} else if section.MatchString(line) {
			wanted = false
		}
		if !wanted {
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(line, -1) {
			out = append(out, m[1]+m[2])
		}
	}
	return out
}
