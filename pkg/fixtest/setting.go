package fixtest

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// heldSetting tells whether a node's setting is what was read there: a field as the params
// have it, a file that lies where it is, and of everything else its text.
func heldSetting(t *testing.T, s *facts.Snapshot, params fixes.Params, o *unstructured.Unstructured) bool {
	t.Helper()
	setting, err := fixes.SettingOf(o)
	if err != nil {
		t.Error(err)
		return false
	}
	v := host.Of(s, setting.Node)
	text, found := v.Read(setting.Path)
	switch {
	case setting.Field != "":
		value, read := params.Settings[setting.Key()]
		return read && facts.Same(value, setting.Value)
	case setting.Moves:
		return found && facts.Same(setting.Value, &setting.Path)
	case setting.Value == nil:
		return v.Absent(setting.Path)
	case strings.HasPrefix(setting.Path, "/proc/"):
		text = strings.TrimSpace(text)
	}
	return found && text == *setting.Value
}
