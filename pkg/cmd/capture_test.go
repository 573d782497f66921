package cmd

import (
	"io"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Two anonymised bundles of one cluster have no name in common with it, nor with each other.
func TestAnonymized(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "acmecorp-1"}}
	var record facts.Recorder
	if err := record.Record(facts.Nodes, node); err != nil {
		t.Fatal(err)
	}
	b := facts.NewBuilder(metav1.Now().Time, "v1.37.2", facts.Logs)
	if err := b.Add(node.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	b.AddLog("acmecorp", "quincetree", "c", facts.Log{Current: "acmecorp-1 called quincetree\n"})
	s := b.Build()
	var bundles [2]string
	for i := range bundles {
		err := anonymized(&record, s, func(name string, size int64, body io.Reader) error {
			data, err := io.ReadAll(body)
			if int64(len(data)) != size {
				t.Errorf("%s: %d bytes, %d were told", name, len(data), size)
			}
			bundles[i] += name + "\n" + string(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(bundles[i], "acmecorp") || strings.Contains(bundles[i], "quincetree") || !strings.Contains(bundles[i], "nodes.json") {
			t.Errorf("bundle %d:\n%s", i, bundles[i])
		}
	}
	if bundles[0] == bundles[1] {
		t.Error("two bundles have the same pseudonyms")
	}
}
