package fixes

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// What the snapshot keeps in part only must never be written back: the rest would be
// lost in the cluster.
func TestObjectsInPartAreNotWritten(t *testing.T) {
	for namespace, whole := range map[string]bool{"kube-system": true, "bakery": false} {
		b := facts.NewBuilder(time.Now(), "", facts.API)
		if err := b.Add(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "oven"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := object("Deployment", "apps/v1", b.Build().Deployment(namespace, "oven")); (err == nil) != whole {
			t.Errorf("Deployment of %s: error %v", namespace, err)
		}
	}
}
