package facts

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Setting is one thing of a node that a repair may change, and what it is. There are four
// kinds, and no others (Valid):
//
//   - a field of a YAML file: Field is its name, Value its text;
//   - a sysctl: Path lies below /proc/sys, Value is its word;
//   - a file: Value is its whole text;
//   - where a file lies: Moves is set, Value is Path, or Aside.
type Setting struct {
	Node  string `json:"node"`
	Path  string `json:"path"` // of the node
	Field string `json:"field,omitempty"`
	Moves bool   `json:"moves,omitempty"`

	// Unit is what systemd restarts, so that the setting is taken up; "" for nothing.
	Unit string `json:"unit,omitempty"`

	// Value is nil where it is not there.
	Value *string `json:"value,omitempty"`
}

// ErrAsItWas says that a node whose setting was to be changed is as it was.
var ErrAsItWas = errors.New("the node is as it was")

// AsItWas adds ErrAsItWas to an error.
func AsItWas(err error) error { return fmt.Errorf("%w (%w)", err, ErrAsItWas) }

// asideSuffix makes a name that neither containerd (libcni takes .conf, .conflist and
// .json) nor a plugin takes up.
const asideSuffix = ".netdoctor-aside"

// Aside is where a file lies that is out of use.
func (s Setting) Aside() string { return s.Path + asideSuffix }

// Key names the setting apart from its value. No two things of nodes that are Valid have one
// key: what moves lies in no directory that files are written into.
func (s Setting) Key() string {
	key := s.Node + ":" + s.Path
	if s.Field != "" {
		key += "#" + s.Field
	}
	return key
}

// SettingKind is the kind of a Ref whose name is the Key of a setting.
const SettingKind = "NodeSetting"

// settingWords write a Key as people read it: Node NAME, PATH.
func settingWords(key string) string {
	node, where, found := strings.Cut(key, ":")
	if !found {
		return SettingKind + " " + key
	}
	file, field, found := strings.Cut(where, "#")
	if found {
		return "Node " + node + ", " + field + " in " + file
	}
	return "Node " + node + ", " + file
}

// With returns the setting with another value.
func (s Setting) With(value *string) Setting {
	s.Value = value
	return s
}

// Same tells whether two values are one.
func Same(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// A repair has a reason to touch these alone: whoever asks for another one is refused on the
// node itself. A field's value names its unit.
var (
	settableFields  = map[string]string{"resolvConf": "kubelet.service"}
	settableSysctls = []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding",
		"/proc/sys/net/bridge/bridge-nf-call-iptables", "/proc/sys/net/bridge/bridge-nf-call-ip6tables"}
)

// mostPath is how long a path of a setting may be, in bytes.
const mostPath = 512

var (
	// plainPath is a path in a directory of its own that no shell, no YAML and no key of a
	// setting takes apart.
	plainPath = regexp.MustCompile(`^(/[A-Za-z0-9@_.+-]+){2,}$`)
	// nodeName is as the API server wants it (RFC 1123, subdomain).
	nodeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
)

func plain(name string) bool {
	return len(name) <= mostPath && name == path.Clean(name) && plainPath.MatchString(name)
}

// Valid tells whether it is of one of the kinds, and one of those that repairs change, with a
// value that they give it: that decides what whoever writes a journal's entry, or answers for
// a node, can make a repair do.
func (s Setting) Valid() bool {
	if !plain(s.Path) || !nodeName.MatchString(s.Node) {
		return false
	}
	name, value := path.Base(s.Path), s.Value
	if s.Field != "" {
		unit, known := settableFields[s.Field]
		return known && s.Unit == unit && !s.Moves && slices.Contains([]string{".yaml", ".yml", ".conf", ".json", ""}, path.Ext(name)) &&
			(value == nil || *value == "" || plain(*value))
	}
	switch {
	case s.Unit != "":
		return false
	case s.Moves:
		return slices.Contains([]string{".conf", ".conflist", ".json"}, path.Ext(name)) && ofCNI(path.Dir(s.Path)) &&
			(value == nil || *value == s.Path || *value == s.Aside())
	case strings.HasPrefix(s.Path, "/proc/"):
		return slices.Contains(settableSysctls, s.Path) && (value == nil || *value == "0" || *value == "1")
	}
	return path.Dir(s.Path) == "/etc/sysctl.d" && strings.Contains(name, "netdoctor") && path.Ext(name) == ".conf" && (value == nil || ofSysctls(*value))
}

// ofCNI tells whether a directory is one that runtimes take networks from, by its name:
// /etc/cni/net.d, or what distributions have in its place.
func ofCNI(dir string) bool {
	return slices.ContainsFunc(strings.Split(dir, "/"), func(name string) bool { return name == "cni" || name == "cni-network" })
}

// ofSysctls tells whether a text of /etc/sysctl.d sets what repairs set, and nothing else of a
// kernel that could be told to run programs (kernel.core_pattern).
func ofSysctls(text string) bool {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " = ")
		if value != "0" && value != "1" || strings.Contains(name, "/") ||
			!slices.Contains(settableSysctls, "/proc/sys/"+strings.ReplaceAll(name, ".", "/")) {
			return false
		}
	}
	return len(text) <= mostPath
}
