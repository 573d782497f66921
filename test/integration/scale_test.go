package integration

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubectl-netdoctor/netdoctor/test/scale"
)

// The objects of the large clusters that are measured go past the API server's
// validation. Here it judges them, and check finds what is wrong with them and no more.
func TestLargeClustersAreValidAndSickInThreePlaces(t *testing.T) {
	p := start(t, "--no-controllers")
	size := scale.For(300)
	cluster, err := scale.New(os.DirFS("../clusters/healthy"), size, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server, err := scale.Running(filepath.Dir(p.Kubeconfig))
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Write(t.Context(), server.EtcdURL); err != nil {
		t.Fatal(err)
	}
	for i := range cluster.Len() {
		accepted(t, p, cluster.Object(i))
	}
	o := p.run(t, "check", "--depth", "api", "-o", "json")
	named, err := scale.Roots([]byte(o.stdout))
	if err != nil {
		t.Fatal(err)
	}
	if err := size.Missed(named); err != nil {
		t.Error(err)
	}
}

// accepted writes an object back as it was read, without effect: the API server
// validates the whole of it.
func accepted(t *testing.T, p api, obj scale.Object) {
	t.Helper()
	kinds, _, err := scheme.Scheme.ObjectKinds(obj)
	if err != nil {
		t.Fatal(err)
	}
	resource, _ := apimeta.UnsafeGuessKindToResource(kinds[0])
	var client dynamic.ResourceInterface = p.Dynamic.Resource(resource)
	if obj.GetNamespace() != "" {
		client = p.Dynamic.Resource(resource).Namespace(obj.GetNamespace())
	}
	read, err := client.Get(t.Context(), obj.GetName(), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if read.GetUID() != obj.GetUID() {
		t.Errorf("%s: uid %s became %s", scale.Key(obj), obj.GetUID(), read.GetUID())
	}
	dry := metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}}
	if _, err := client.Update(t.Context(), read, dry); err != nil {
		t.Errorf("%s: %v", scale.Key(obj), err)
	}
	if _, found := read.Object["status"]; found {
		if _, err := client.UpdateStatus(t.Context(), read, dry); err != nil {
			t.Errorf("%s, status: %v", scale.Key(obj), err)
		}
	}
	if pod, ok := obj.(*corev1.Pod); ok && len(read.GetManagedFields()) != len(pod.ManagedFields) {
		t.Errorf("%s: managed fields were lost", scale.Key(obj))
	}
}
