package apply

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// restartedAt is the annotation that makes pods anew; its value is the time of the plan.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

// Digest names what a plan does to what. Two plans have the same one only where the fix,
// the finding, the objects before and after, their statuses apart, and the pods that are
// deleted are the same.
func Digest(plan fixes.Plan) (string, error) {
	type object struct {
		UID           types.UID
		Before, After *unstructured.Unstructured
	}
	text := struct {
		Fix, Check string
		Subject    facts.Ref
		Objects    []object
		Restarts   []string
	}{Fix: plan.Fix.ID, Check: plan.Finding.Check.ID, Subject: plan.Finding.Subject}
	for _, c := range plan.Changes {
		var o object
		if c.Before != nil {
			o.UID, o.Before = c.Before.GetUID(), Bare(c.Before)
		}
		if c.After != nil {
			o.After = untimed(Bare(c.After))
		}
		text.Objects = append(text.Objects, o)
	}
	for _, p := range plan.Restarts {
		text.Restarts = append(text.Restarts, p.Namespace+"/"+p.Name+"/"+p.UID())
	}
	slices.Sort(text.Restarts)
	data, err := json.Marshal(text)
	if err != nil {
		return "", fmt.Errorf("writing the plan: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

// untimed takes the time of a restart out of a pod template.
func untimed(o *unstructured.Unstructured) *unstructured.Unstructured {
	path := []string{"spec", "template", "metadata", "annotations", restartedAt}
	if _, found, _ := unstructured.NestedString(o.Object, path...); found {
		_ = unstructured.SetNestedField(o.Object, "now", path...) // there is a map that holds it
	}
	return o
}
