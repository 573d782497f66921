package faults

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

var settingKind = schema.FromAPIVersionAndKind(fixes.SettingVersion, facts.SettingKind)

// settingsOf returns the settings of nodes that a plan changes, as they are before it.
func settingsOf(t *testing.T, plan fixes.Plan) map[string]facts.Setting {
	t.Helper()
	out := map[string]facts.Setting{}
	for _, c := range plan.Changes {
		if !fixes.IsSetting(c.Object()) {
			continue
		}
		s, err := fixes.SettingOf(c.Before)
		if err != nil {
			t.Fatal(err)
		}
		out[s.Key()] = s
	}
	return out
}

// setting returns a setting of a node in the form of an object, nil where the plan has none of
// this key.
func (c *cluster) setting(key string) *unstructured.Unstructured {
	s, known := c.settings[key]
	if !known {
		return nil
	}
	return fixes.SettingObject(s.With(c.proxy.Settings.Value(key)))
}
