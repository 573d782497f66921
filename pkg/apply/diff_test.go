package apply_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

var menu = facts.Ref{Kind: "ConfigMap", Namespace: "shop", Name: "menu"}

func diffOf(t *testing.T, ref facts.Ref, before, after *unstructured.Unstructured) string {
	t.Helper()
	text, err := apply.Diff(ref, before, after, "repaired")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDiffOfTexts(t *testing.T) {
	type data = map[string]any
	tests := []struct {
		name          string
		before, after data
		want          string
	}{
		{name: "equal", before: data{"a": "x\n"}, after: data{"a": "x\n"}},
		{name: "keys in order", before: data{"b": "1\n", "Z": "1\n", "a": "1\n", "c": "0\n"}, after: data{"a": "2\n", "b": "2\n", "Z": "2\n", "c": "0\n"}, want: `
--- ConfigMap shop/menu, key Z (now)
+++ ConfigMap shop/menu, key Z (repaired)
@@ -1,1 +1,1 @@
-1
+2
--- ConfigMap shop/menu, key a (now)
+++ ConfigMap shop/menu, key a (repaired)
@@ -1,1 +1,1 @@
-1
+2
--- ConfigMap shop/menu, key b (now)
+++ ConfigMap shop/menu, key b (repaired)
@@ -1,1 +1,1 @@
-1
+2
`},
		{name: "key added, key removed", before: data{"old": "x\ny\n"}, after: data{"new": "z\n"}, want: `
--- ConfigMap shop/menu, key new (now)
+++ ConfigMap shop/menu, key new (repaired)
@@ -0,0 +1,1 @@
+z
--- ConfigMap shop/menu, key old (now)
+++ ConfigMap shop/menu, key old (repaired)
@@ -1,2 +0,0 @@
-x
-y
`},
		{name: "empty key added, empty key removed", before: data{"old": "", "kept": ""}, after: data{"new": "", "kept": ""}, want: `
--- ConfigMap shop/menu, key new (absent)
+++ ConfigMap shop/menu, key new (empty)
--- ConfigMap shop/menu, key old (empty)
+++ ConfigMap shop/menu, key old (absent)
`},
		{name: "only the line ends", before: data{"a": "x\r\ny\r\n"}, after: data{"a": "x\ny\r\n"}, want: `
--- ConfigMap shop/menu, key a (now)
+++ ConfigMap shop/menu, key a (repaired)
@@ -1,2 +1,2 @@
-x\r
+x
 y\r
`},
		{name: "no newline at the end", before: data{"a": "x\ny"}, after: data{"a": "x\ny\n"}, want: `
--- ConfigMap shop/menu, key a (now)
+++ ConfigMap shop/menu, key a (repaired)
@@ -1,2 +1,2 @@
 x
-y
\ No newline at end of file
+y
`},
		{name: "lines that look like a diff's", before: data{"a": "diff x y\n--- x\n"}, after: data{"a": "diff x z\n--- x\n"}, want: `
--- ConfigMap shop/menu, key a (now)
+++ ConfigMap shop/menu, key a (repaired)
@@ -1,2 +1,2 @@
-diff x y
+diff x z
 --- x
`},
		{name: "data that comes", after: data{"a": "x"}, want: `
--- ConfigMap shop/menu, key a (now)
+++ ConfigMap shop/menu, key a (repaired)
@@ -0,0 +1,1 @@
+x
\ No newline at end of file
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, after := configMap("menu", tt.before), configMap("menu", tt.after)
			if tt.before == nil {
				delete(before.Object, "data")
			}
			kept := after.DeepCopy()
			got := strings.ReplaceAll(diffOf(t, menu, before, after), "\r", `\r`)
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			same(t, "the object that was shown", kept.Object, after.Object)
		})
	}
}

func TestDiffOfOneSide(t *testing.T) {
	o := configMap("menu", map[string]any{"a": "x\n"})
	want := `--- ConfigMap shop/menu (now)
+++ ConfigMap shop/menu (repaired)
@@ -0,0 +1,7 @@
+apiVersion: v1
+data:
+  a: |
+    x
+kind: ConfigMap
+metadata:
+  name: menu
+  namespace: shop
`
	want = strings.Replace(want, "+1,7", "+1,8", 1)
	same(t, "created", want, diffOf(t, menu, nil, o))
	deleted := diffOf(t, menu, o, nil)
	same(t, "deleted", strings.Count(want, "\n+"), strings.Count(deleted, "\n-")+1)
	if !strings.Contains(deleted, "@@ -1,8 +0,0 @@\n-apiVersion: v1\n") {
		t.Errorf("deleted:\n%s", deleted)
	}
	same(t, "neither", "", diffOf(t, menu, nil, nil))
}

// What the server sets differs at every write and is no part of the change.
func TestDiffHidesWhatTheServerSets(t *testing.T) {
	ref := facts.Ref{Kind: "Service", Namespace: "shop", Name: "till"}
	service := func(n string, ports int64) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Service",
			"metadata": map[string]any{"name": "till", "namespace": "shop", "resourceVersion": n, "uid": n, "creationTimestamp": n,
				"generation": n, "managedFields": []any{n}, "labels": map[string]any{"tier": "front"}},
			"spec": map[string]any{"port": ports}, "status": map[string]any{"seen": n},
		}}
	}
	before, after := service("1", 53), service("2", 53)
	same(t, "equal but for that", "", diffOf(t, ref, before, after))
	got := diffOf(t, ref, before, service("3", 9153))
	same(t, "changed", `--- Service shop/till (now)
+++ Service shop/till (repaired)
@@ -6,4 +6,4 @@
   name: till
   namespace: shop
 spec:
-  port: 53
+  port: 9153
`, got)
	if before.GetResourceVersion() != "1" || before.Object["status"] == nil {
		t.Error("showing the object changed it")
	}
}

// Beside the texts a ConfigMap has labels and binary data, which are shown, too.
func TestDiffOfTheRestOfAConfigMap(t *testing.T) {
	before := configMap("menu", map[string]any{"a": "x\n"})
	after := configMap("menu", map[string]any{"a": "y\n"})
	after.SetLabels(map[string]string{"by": "chef"})
	_ = unstructured.SetNestedField(after.Object, "AAE=", "binaryData", "photo")
	got := diffOf(t, menu, before, after)
	for _, want := range []string{"key a (now)", "-x\n+y\n", "+  labels:\n+    by: chef\n", "+  photo: AAE=\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the diff lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "data:\n+  a:") {
		t.Errorf("the text is shown twice:\n%s", got)
	}
}
