package fixes_test

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

func unstructuredConfigMap(annotations map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"namespace": "kube-system", "name": "x", "annotations": annotations}}}
}

func planOf(changes []fixes.Change) func(*facts.Snapshot, checks.Finding, fixes.Params) (fixes.Plan, error) {
	return func(*facts.Snapshot, checks.Finding, fixes.Params) (fixes.Plan, error) {
		return fixes.Plan{Changes: changes}, nil
	}
}

func findingOf(s *facts.Snapshot) checks.Finding {
	return checks.Run(s, fixes.CorefileForward.For)[1].Findings[0]
}
