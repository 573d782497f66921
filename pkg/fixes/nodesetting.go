package fixes

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// SettingVersion and facts.SettingKind mark a Change of a node's setting, which no API server
// knows: it goes through the same steps as an object, and package apply sends it to its node.
const SettingVersion = "node.netdoctor/v1"

// SettingObject returns a setting in the form that changes have.
func SettingObject(s facts.Setting) *unstructured.Unstructured {
	fields, _ := runtime.DefaultUnstructuredConverter.ToUnstructured(&s) // of strings and bools: it cannot fail
	u := &unstructured.Unstructured{Object: map[string]any{"setting": fields}}
	u.SetAPIVersion(SettingVersion)
	u.SetKind(facts.SettingKind)
	u.SetName(s.Key())
	return u
}

// IsSetting tells whether an object is a node's setting.
func IsSetting(u *unstructured.Unstructured) bool {
	return u != nil && u.GetAPIVersion() == SettingVersion && u.GetKind() == facts.SettingKind
}

// SettingOf returns the setting that an object stands for. It is an error where it is none
// that a repair may change: a journal's entry may have been written by anybody.
func SettingOf(u *unstructured.Unstructured) (facts.Setting, error) {
	var s facts.Setting
	switch {
	case u == nil:
		return s, errors.New("there is no setting of a node")
	case !IsSetting(u):
		return s, fmt.Errorf("%s is no setting of a node", u.GetKind())
	}
	fields, _, _ := unstructured.NestedMap(u.Object, "setting")
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &s); err != nil {
		return s, fmt.Errorf("reading %s: %w", u.GetName(), err)
	}
	if !s.Valid() || s.Key() != u.GetName() {
		return s, fmt.Errorf("%q is no setting that a repair changes", u.GetName())
	}
	return s, nil
}

// UnreadError says that a setting must be read on its node before a change of it can be
// planned.
type UnreadError struct{ Setting facts.Setting }

// Error names the setting.
func (e *UnreadError) Error() string {
	return fmt.Sprintf("%s of Node %s was not read: only a dry run that asks the nodes of a cluster shows this plan", e.Setting.Path, e.Setting.Node)
}

// OnNodesError says that a fix changes nodes, which nobody has allowed.
type OnNodesError struct{ Fix *Fix }

// Error says how to allow it.
func (e *OnNodesError) Error() string {
	return e.Fix.ID + " changes nodes, by a pod that runs as root on them for a moment. Repeat with --allow-node-changes to go on"
}

// settingChange makes the change of a setting from what it is to another value.
func settingChange(now facts.Setting, to *string) Change {
	return Change{Before: SettingObject(now), After: SettingObject(now.With(to))}
}
