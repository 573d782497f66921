package plane

import (
	"slices"
	"strings"
	"testing"
)

func TestDefaultControllersIgnoreMissingKubelets(t *testing.T) {
	for _, name := range []string{
		"node-ipam-controller", "node-lifecycle-controller",
		"pod-garbage-collector-controller", "taint-eviction-controller",
	} {
		if slices.Contains(strings.Split(DefaultControllers(), ","), name) {
			t.Errorf("%s is on by default", name)
		}
	}
}
