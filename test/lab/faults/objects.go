package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// object is an object of the API as JSON.
type object = map[string]any

// get reads one object.
func get(ctx context.Context, lab Lab, ref ...string) (object, error) {
	out, err := lab.Kubectl(ctx, "", slices.Concat([]string{"get", "-o", "json"}, ref)...)
	if err != nil {
		return nil, err
	}
	var o object
	if err := json.Unmarshal([]byte(out), &o); err != nil {
		return nil, fmt.Errorf("reading %s: %w", strings.Join(ref, " "), err)
	}
	return o, nil
}

// read returns what a JSONPath finds in one or several objects.
func read(ctx context.Context, lab Lab, path string, ref ...string) (string, error) {
	return lab.Kubectl(ctx, "", slices.Concat([]string{"get", "-o", "jsonpath=" + path}, ref)...)
}

// do runs kubectl for what it does.
func do(ctx context.Context, lab Lab, args ...string) error {
	_, err := lab.Kubectl(ctx, "", args...)
	return err
}

// patch merges content into an object; null deletes, and lists are replaced.
func patch(ctx context.Context, lab Lab, content any, ref ...string) error {
	return patchAs(ctx, lab, "merge", content, ref...)
}

func patchAs(ctx context.Context, lab Lab, kind string, content any, ref ...string) error {
	data, err := json.Marshal(content)
	if err != nil {
		return err
	}
	return do(ctx, lab, slices.Concat([]string{"patch", "--type=" + kind, "-p", string(data)}, ref)...)
}

// addonMode marks the objects that an add-on manager keeps as they are.
const addonMode = "addonmanager.kubernetes.io/mode"

// disown takes that mark off an object. The lab's manifests carry it, but no add-on manager runs
// here, and a doctor writes to nothing that somebody else would write back at once.
func disown(ctx context.Context, lab Lab, ref []string) error {
	return patch(ctx, lab, object{"metadata": object{"labels": object{addonMode: nil}}}, ref...)
}

// kept names the ConfigMap in which a fault keeps what it is about to break:
// whoever mends it may be another process, long after.
func kept(id string) []string { return []string{"-n", "default", "configmap", "lab-fault-" + id} }

// keep saves objects, as they are, under a fault's name. What is kept already
// stays: a fault that is made twice must not keep what it broke itself.
func keep(ctx context.Context, lab Lab, id string, refs ...[]string) error {
	if _, err := get(ctx, lab, kept(id)...); err == nil {
		return nil
	}
	data := map[string]string{}
	for i, ref := range refs {
		o, err := get(ctx, lab, ref...)
		if err != nil {
			return err
		}
		text, err := json.Marshal(portable(o))
		if err != nil {
			return err
		}
		data[fmt.Sprintf("object-%d", i)] = string(text)
	}
	return store(ctx, lab, id, data)
}

func store(ctx context.Context, lab Lab, id string, data map[string]string) error {
	text, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "ConfigMap", "data": data,
		"metadata": object{"namespace": "default", "name": "lab-fault-" + id},
	})
	if err != nil {
		return err
	}
	_, err = lab.Kubectl(ctx, string(text), "create", "-f", "-")
	return err
}

// portable drops what the server sets, so that the object can be written over
// a later version of itself or be made anew.
func portable(o object) object {
	delete(o, "status")
	if meta, ok := o["metadata"].(object); ok {
		for _, field := range []string{"resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"} {
			delete(meta, field)
		}
	}
	return o
}

// restore brings back what was kept, also where it was deleted, and forgets it.
// It does nothing where the fault was not made.
func restore(ctx context.Context, lab Lab, id string) error {
	data, err := keptData(ctx, lab, id)
	if data == nil || err != nil {
		return err
	}
	for _, text := range data {
		_, err := lab.Kubectl(ctx, text, "replace", "-f", "-")
		if isNotFound(err) {
			_, err = lab.Kubectl(ctx, text, "create", "-f", "-")
		}
		if err != nil {
			return err
		}
	}
	return forget(ctx, lab, id)
}

func forget(ctx context.Context, lab Lab, id string) error {
	return do(ctx, lab, append([]string{"delete", "--ignore-not-found"}, kept(id)...)...)
}

// keptData returns what was kept under a fault's name, or nil.
func keptData(ctx context.Context, lab Lab, id string) (map[string]string, error) {
	out, err := lab.Kubectl(ctx, "", append([]string{"get", "-o", "json"}, kept(id)...)...)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var cm struct{ Data map[string]string }
	if err := json.Unmarshal([]byte(out), &cm); err != nil {
		return nil, err
	}
	return cm.Data, nil
}

func isNotFound(err error) bool { return err != nil && strings.Contains(err.Error(), "(NotFound)") }

// recreate deletes pods without giving them time and waits until they are
// gone, so that what takes their place reads its configuration.
func recreate(ctx context.Context, lab Lab, namespace, selector string, more ...string) error {
	return do(ctx, lab, slices.Concat([]string{"-n", namespace, "delete", "pods", "-l", selector, "--now"}, more)...)
}

// onNode restricts recreate to the pods of one node.
func onNode(node string) string { return "--field-selector=spec.nodeName=" + node }

// all joins steps of which each needs those before it.
func all(ctx context.Context, lab Lab, steps ...func(context.Context, Lab) error) error {
	for _, step := range steps {
		if err := step(ctx, lab); err != nil {
			return err
		}
	}
	return nil
}

// each is a step for all nodes.
func each(ctx context.Context, lab Lab, step func(context.Context, Lab, string) error) error {
	var errs []error
	for _, node := range lab.Nodes() {
		errs = append(errs, step(ctx, lab, node))
	}
	return errors.Join(errs...)
}

// last is the node that faults of a single node break.
func last(lab Lab) string { return lab.Nodes()[len(lab.Nodes())-1] }

// first is a node that faults of a single node leave alone.
func first(lab Lab) string { return lab.Nodes()[0] }
