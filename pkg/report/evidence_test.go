package report

import (
	"slices"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
)

// What merged findings quote twice from the same place is told once and counted once.
func TestFoldedCountsPlacesOnce(t *testing.T) {
	twice := checks.Quote("ConfigMap hut/rules", "mode: odd")
	got := folded([]checks.Evidence{twice, checks.Quote("Node elm", "no route"), twice, checks.Quote("Node oak", "no route"), checks.Quote("Node elm", "no route")})
	if len(got) != 2 || !slices.Equal(got[0].places, []string{"ConfigMap hut/rules"}) || !slices.Equal(got[1].places, []string{"Node elm", "Node oak"}) {
		t.Errorf("got %+v", got)
	}
}
