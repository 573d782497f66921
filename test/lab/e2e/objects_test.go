package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// objects are what a repair could change, by kind, namespace and name.
type objects map[string]string

// repairable are the kinds that a fix may write, or whose objects it may
// delete.
const repairable = "configmaps,services,serviceaccounts,deployments.apps,daemonsets.apps,clusterroles,clusterrolebindings"

// readObjects reads them without what the server sets and what controllers
// report. With versions, what cannot change by itself keeps its version, so
// that a write of the same content is seen, too.
func readObjects(ctx context.Context, lab testLab, versions bool) (objects, error) {
	out, err := lab.Kubectl(ctx, "", "get", repairable, "-A", "-o", "json")
	if err != nil {
		return nil, err
	}
	var list struct{ Items []map[string]any }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, err
	}
	found := objects{}
	for _, o := range list.Items {
		meta, _ := o["metadata"].(map[string]any)
		_, reports := o["status"]
		delete(o, "status")
		delete(meta, "managedFields")
		notes, _ := meta["annotations"].(map[string]any)
		delete(notes, "deprecated.daemonset.template.generation") // a generation
		delete(notes, "deployment.kubernetes.io/revision")        // counts what the controller made of it
		if reports || !versions {
			delete(meta, "resourceVersion")
		}
		if !versions {
			delete(meta, "generation")
		}
		text, err := json.MarshalIndent(o, "", " ")
		if err != nil {
			return nil, err
		}
		found[fmt.Sprintf("%v %v/%v", o["kind"], meta["namespace"], meta["name"])] = string(text)
	}
	return found, nil
}

// differ names the objects of o that are another now or are gone. New ones are
// not looked at: the journal of repairs is among them.
func (o objects) differ(now objects) error {
	var names []string
	for name, text := range o {
		if now[name] != text {
			names = append(names, fmt.Sprintf("%s\nbefore:\n%s\nafter:\n%s", name, text, now[name]))
		}
	}
	if len(names) > 0 {
		return fmt.Errorf("not as it was: %s", strings.Join(names, "\n"))
	}
	return nil
}
