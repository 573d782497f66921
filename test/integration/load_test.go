package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// load puts a bundle's objects with their status into the API server.
func (p api) load(t *testing.T, dir string) {
	t.Helper()
	for _, src := range facts.Sources() { // nodes and namespaces come first
		if src.Object() {
			p.loadList(t, dir, src)
		}
	}
}

func (p api) loadList(t *testing.T, dir string, src *facts.Source) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() != src.Name+".json" {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var list struct{ Items []map[string]any }
		if err := json.Unmarshal(data, &list); err != nil {
			return err
		}
		for _, item := range list.Items {
			p.create(t, src, &unstructured.Unstructured{Object: item})
		}
		return nil
	})
	if err != nil {
		t.Fatalf("loading %s: %v", src, err)
	}
}

// create makes an object and gives it its status. What the API server has made itself
// (the Service kubernetes, the bootstrap roles) stays.
func (p api) create(t *testing.T, src *facts.Source, o *unstructured.Unstructured) {
	t.Helper()
	o.SetAPIVersion(strings.TrimPrefix(src.Group+"/"+src.Version, "/"))
	o.SetKind(src.Kind)
	for _, field := range []string{"resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "selfLink"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	status, hasStatus := o.Object["status"]
	client := p.Dynamic.Resource(schema.GroupVersionResource{Group: src.Group, Version: src.Version, Resource: src.Name}).Namespace(o.GetNamespace())
	if _, err := client.Get(context.Background(), o.GetName(), metav1.GetOptions{}); err == nil {
		return
	}
	made, err := client.Create(context.Background(), o, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("creating %s %s/%s: %v", src.Kind, o.GetNamespace(), o.GetName(), err)
	}
	if !hasStatus || src == facts.Events || src == facts.Namespaces {
		return
	}
	made.Object["status"] = status
	if _, err := client.UpdateStatus(context.Background(), made, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatalf("status of %s %s/%s: %v", src.Kind, o.GetNamespace(), o.GetName(), err)
	}
}

// loadObjects puts the objects of a YAML file into the API server.
func (p api) loadObjects(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dec := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := dec.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, src := range facts.Sources() {
			if src.Kind == o.GetKind() {
				p.create(t, src, o)
			}
		}
	}
}

// versions returns the resourceVersion of every object that a repair could touch.
func (p api) versions(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	for _, src := range facts.Sources() {
		if !src.Object() {
			continue
		}
		list, err := p.Dynamic.Resource(schema.GroupVersionResource{Group: src.Group, Version: src.Version, Resource: src.Name}).List(t.Context(), metav1.ListOptions{})
		if apierrors.IsNotFound(err) {
			continue // a kind that this cluster does not define
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list.Items {
			out.WriteString(src.Name + " " + o.GetNamespace() + "/" + o.GetName() + " " + o.GetResourceVersion() + "\n")
		}
	}
	return out.String()
}
