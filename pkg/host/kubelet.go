package host

import (
	"slices"
	"strings"
)

// The files that say how a node's kubelet is started. Its drop-ins may stand elsewhere, too,
// and kubeadm's own flags stand below /var/lib/kubelet: neither is looked at.
const (
	KubeletCmdline = "/kubelet-cmdline"
	KubeletDefault = "/etc/default/kubelet"
	KubeletDropIns = "/etc/systemd/system/kubelet.service.d"
	kubeletSysconf = "/etc/sysconfig/kubelet"
	kubeadmFlags   = "/var/lib/kubelet/kubeadm-flags.env"
)

// Flag is an argument of a kubelet, and the file that it stands in.
type Flag struct{ Name, Value, File string }

// KubeletRuns returns the flags of the kubelet that runs.
func (v View) KubeletRuns() []Flag {
	text, _ := v.Read(KubeletCmdline)
	var words []word
	for line := range strings.Lines(text) {
		words = append(words, word{strings.TrimRight(line, "\r\n"), KubeletCmdline})
	}
	return flagsOf(words)
}

// KubeletStarts returns the flags that the files of its service give to the kubelet that is
// started next (systemd.service(5), systemd.exec(5)). Where none of them has its command
// line, it is taken to be kubeadm's, which names the variables of kubeadmVars.
func (v View) KubeletStarts() []Flag {
	u := v.kubeletUnit()
	for _, file := range u.files {
		text, _ := v.Read(file)
		for _, line := range logical(text) {
			name, value, _ := strings.Cut(line, "=")
			u.vars[strings.TrimSpace(name)] = word{strings.Join(unitWords(value), " "), file}
		}
	}
	return flagsOf(u.command())
}

// KubeletStartFiles names the files that KubeletStarts reads, or would if they were there, the
// drop-ins as a pattern. A file with variables that a drop-in names is among them wherever
// it stands, but for that of kubeadm's own flags; so are the two that kubeadm's packages have,
// named by their own drop-in below /usr/lib (kubernetes.io, "Configuring each kubelet in your
// cluster using kubeadm").
func (v View) KubeletStartFiles() []string {
	out := []string{KubeletDropIns + "/*.conf", KubeletDefault, kubeletSysconf}
	for _, file := range v.kubeletUnit().files {
		if file != kubeadmFlags && !slices.Contains(out, file) {
			out = append(out, file)
		}
	}
	return out
}

// kubeletUnit reads the drop-ins of the kubelet's service.
func (v View) kubeletUnit() *unit {
	u := &unit{vars: map[string]word{}}
	for _, file := range v.Under(KubeletDropIns) {
		if strings.HasSuffix(file, ".conf") {
			text, _ := v.Read(file)
			u.read(file, text)
		}
	}
	if len(u.files) == 0 || len(u.exec) == 0 { // the package's drop-in is in force, and comes first
		u.files = append([]string{KubeletDefault, kubeletSysconf}, u.files...)
	}
	return u
}

// kubeadmVars are what kubeadm's command line of the kubelet names.
var kubeadmVars = []string{"KUBELET_KUBECONFIG_ARGS", "KUBELET_CONFIG_ARGS", "KUBELET_KUBEADM_ARGS", "KUBELET_EXTRA_ARGS"}

// Bounds of a command line, so that a hostile one does not grow with each variable that it
// names.
const (
	mostArgs  = 4096
	mostValue = 32 << 10 // bytes
)

// word is a word of a command line, or what a variable holds, and the file that it stands
// in.
type word struct{ text, file string }

// unit is what drop-ins of a service say of its command line.
type unit struct {
	vars  map[string]word
	files []string // with further variables, which win
	exec  []word
}

func (u *unit) read(file, text string) {
	for _, line := range logical(text) {
		key, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "Environment":
			if value == "" {
				clear(u.vars)
			}
			for _, w := range unitWords(value) {
				u.set(w, file)
			}
		case "EnvironmentFile":
			if value == "" {
				u.files = nil
			} else {
				u.files = append(u.files, strings.TrimPrefix(value, "-"))
			}
		case "ExecStart":
			u.exec = nil
			for _, w := range unitWords(value) {
				u.exec = append(u.exec, word{w, file})
			}
		}
	}
}

func (u *unit) set(assignment, file string) {
	if name, value, found := strings.Cut(assignment, "="); found {
		u.vars[name] = word{value, file}
	}
}

// command returns the command line with what its variables hold.
func (u *unit) command() []word {
	exec := slices.Clone(u.exec)
	if len(exec) == 0 {
		for _, name := range kubeadmVars {
			exec = append(exec, word{text: "$" + name})
		}
	}
	var out []word
	for _, w := range exec[:min(len(exec), mostArgs)] {
		if len(out) >= mostArgs {
			break
		}
		name, is := strings.CutPrefix(w.text, "$")
		value := u.vars[strings.TrimSuffix(strings.TrimPrefix(name, "{"), "}")]
		value.text = value.text[:min(len(value.text), mostValue)]
		switch {
		case !is:
			out = append(out, w)
		case strings.HasPrefix(name, "{"):
			out = append(out, value)
		default:
			for _, part := range unitWords(value.text) {
				out = append(out, word{part, value.file})
			}
		}
	}
	return out
}

// logical returns the lines of a unit or of a file with variables, without comments; one that
// ends in a backslash goes on in the next.
func logical(text string) []string {
	var out []string
	begun := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if part, more := strings.CutSuffix(line, `\`); more {
			begun += part + " "
			continue
		}
		out = append(out, begun+line)
		begun = ""
	}
	return append(out, begun)
}

// unitWords splits a line into words as systemd does: quotation marks of both kinds hold
// together what stands between them.
func unitWords(line string) []string {
	var out []string
	var w strings.Builder
	var quote rune
	started := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, started = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if started {
				out = append(out, w.String())
				w.Reset()
			}
			started = false
		default:
			w.WriteRune(r)
			started = true
		}
	}
	if started {
		out = append(out, w.String())
	}
	return out
}

func flagsOf(words []word) []Flag {
	var out []Flag
	for i, w := range words {
		if !strings.HasPrefix(w.text, "--") {
			continue
		}
		name, value, assigned := strings.Cut(w.text, "=")
		if !assigned && i+1 < len(words) && !strings.HasPrefix(words[i+1].text, "-") {
			value = words[i+1].text
		}
		out = append(out, Flag{name, value, w.file})
	}
	return out
}
