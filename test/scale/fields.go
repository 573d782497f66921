package scale

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// shapes keeps the managed fields of objects with the same fields: to work them out for
// each would take longer than all else.
type shapes struct{ known sync.Map }

// add gives an object managed fields, as real servers keep and send them: who made it,
// and for what has a status, who reports that.
func (s *shapes) add(obj Object, shape string, at metav1.Time) {
	entries, ok := s.known.Load(shape)
	if !ok {
		entries, _ = s.known.LoadOrStore(shape, managed(obj, at))
	}
	obj.SetManagedFields(entries.([]metav1.ManagedFieldsEntry))
}

func managed(obj Object, at metav1.Time) []metav1.ManagedFieldsEntry {
	data, err := json.Marshal(obj)
	if err != nil {
		panic(fmt.Sprintf("encoding an API object: %v", err))
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		panic(fmt.Sprintf("decoding an API object: %v", err))
	}
	status, reported := tree["status"].(map[string]any)
	for _, field := range []string{"apiVersion", "kind", "status"} {
		delete(tree, field)
	}
	for _, field := range []string{"name", "namespace", "uid", "creationTimestamp", "resourceVersion", "generation", "managedFields"} {
		delete(tree["metadata"].(map[string]any), field)
	}
	out := []metav1.ManagedFieldsEntry{entry(obj, at, "kube-controller-manager", "", tree)}
	if reported && len(status) > 0 {
		out = append(out, entry(obj, at, "kubelet", "status", map[string]any{"status": status}))
	}
	return out
}

func entry(obj Object, at metav1.Time, manager, subresource string, tree map[string]any) metav1.ManagedFieldsEntry {
	raw, err := json.Marshal(fieldSet(tree, false))
	if err != nil {
		panic(fmt.Sprintf("encoding managed fields: %v", err))
	}
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, Subresource: subresource,
		APIVersion: gvk(obj).GroupVersion().String(), Time: &at, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(string(raw))}
}

// atomicFields are the lists and maps that have one owner as a whole; those of the last
// line are only taken as such, because managed fields are a third of a real pod.
var atomicFields = []string{"args", "command", "tolerations", "containerStatuses", "initContainerStatuses", "endpoints", "images",
	"selector", "nodeSelector", "sources", "subjects", "rules", "matchLabels",
	"env", "ports", "httpGet", "conditions", "resources", "securityContext"}

// fieldSet writes which fields a value has, in the form of FieldsV1.
func fieldSet(value any, owned bool) map[string]any {
	out := map[string]any{}
	if owned {
		out["."] = map[string]any{}
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return map[string]any{}
	}
	for name, field := range fields {
		list, isList := field.([]any)
		switch {
		case slices.Contains(atomicFields, name):
			out["f:"+name] = map[string]any{}
		case isList:
			out["f:"+name] = listSet(list)
		default:
			out["f:"+name] = fieldSet(field, false)
		}
	}
	return out
}

// listKeys are the fields by which items of lists are known, the most particular first.
var listKeys = []string{"mountPath", "containerPort", "port", "name", "type", "ip", "uid"}

func listSet(list []any) map[string]any {
	out := map[string]any{}
	for _, item := range list {
		fields, ok := item.(map[string]any)
		if !ok {
			return map[string]any{} // values have no fields
		}
		for _, key := range listKeys {
			if value, found := fields[key]; found && !isToken(fields) {
				text, _ := json.Marshal(map[string]any{key: value}) // it was JSON before
				out["k:"+string(text)] = fieldSet(fields, true)
				break
			}
		}
	}
	return out
}

// isToken tells whether an item is the volume with a pod's token, or its mount. The API
// server adds these itself, and they have no manager.
func isToken(fields map[string]any) bool {
	name, _ := fields["name"].(string)
	return strings.HasPrefix(name, "kube-api-access")
}

func gvk(obj Object) schema.GroupVersionKind {
	kinds, _, err := scheme.Scheme.ObjectKinds(obj)
	if err != nil {
		panic(fmt.Sprintf("%T is no API object: %v", obj, err))
	}
	return kinds[0]
}
