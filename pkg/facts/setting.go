package facts

import (
	"errors"
	"path"
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

// asideSuffix makes a name that neither containerd (libcni takes .conf, .conflist and
// .json) nor a plugin takes up.
const asideSuffix = ".netdoctor-aside"

// Aside is where a file lies that is out of use.
func (s Setting) Aside() string { return s.Path + asideSuffix }

// Key names the setting apart from its value.
func (s Setting) Key() string {
	key := s.Node + ":" + s.Path
	if s.Field != "" {
		key += "#" + s.Field
	}
	return key
}

// With returns the setting with another value.
func (s Setting) With(value *string) Setting {
	s.Value = value
	return s
}

// Same tells whether two values are one.
func Same(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// settable are the fields, sysctls and units that a repair has a reason to touch: whoever
// asks for another one is refused on the node itself.
var (
	settableFields  = []string{"resolvConf"}
	settableSysctls = []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding",
		"/proc/sys/net/bridge/bridge-nf-call-iptables", "/proc/sys/net/bridge/bridge-nf-call-ip6tables"}
	settableUnits = []string{"", "kubelet.service"}
)

// Valid tells whether it is of one of the kinds, and one of those that repairs change.
func (s Setting) Valid() bool {
	if s.Path != path.Clean(s.Path) || !path.IsAbs(s.Path) || !slices.Contains(settableUnits, s.Unit) {
		return false
	}
	name := path.Base(s.Path)
	switch {
	case s.Moves:
		ends := slices.Contains([]string{".conf", ".conflist", ".json"}, path.Ext(name))
		return s.Field == "" && ends && (s.Value == nil || *s.Value == s.Path || *s.Value == s.Aside())
	case s.Field != "":
		return slices.Contains(settableFields, s.Field) && slices.Contains([]string{".yaml", ".yml", ".conf", ".json", ""}, path.Ext(name))
	case strings.HasPrefix(s.Path, "/proc/"):
		return slices.Contains(settableSysctls, s.Path) && (s.Value == nil || *s.Value == "0" || *s.Value == "1")
	}
	return path.Dir(s.Path) == "/etc/sysctl.d" && strings.Contains(name, "netdoctor") && path.Ext(name) == ".conf"
}
