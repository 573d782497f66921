package apply

import (
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// settingDiff compares a node's setting as what stands on the node; ok is false where either
// side is no setting.
func settingDiff(before, after *unstructured.Unstructured, was, became string) (text string, ok bool) {
	a, errA := fixes.SettingOf(before)
	b, errB := fixes.SettingOf(after)
	if errA != nil || errB != nil {
		return "", false
	}
	name := fmt.Sprintf("Node %s, %s", a.Node, a.Path)
	if a.Moves {
		name = fmt.Sprintf("Node %s, where %s lies", a.Node, a.Path)
	}
	return string(diff.Diff(name+" ("+was+")", settingText(a), name+" ("+became+")", settingText(b))), true
}

// settingText is nothing where the setting is not there.
func settingText(s facts.Setting) []byte {
	switch {
	case s.Value == nil:
		return nil
	case s.Field != "":
		return []byte(s.Field + ": " + *s.Value + "\n")
	case strings.HasSuffix(*s.Value, "\n"):
		return []byte(*s.Value)
	}
	return []byte(*s.Value + "\n")
}
