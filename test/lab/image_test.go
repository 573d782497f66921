package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/cluster"
)

// loadedPod runs an image as strictly as Kubernetes can demand it, on one node, where it must
// be already.
const loadedPod = `
apiVersion: v1
kind: Pod
metadata: {name: %[1]s}
spec:
  nodeName: %[2]s
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: main
    image: docker.io/library/netdoctor:lab
    imagePullPolicy: Never
    args: [%[3]s]
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`

// imagesAreLoaded loads an image that hack/image makes, and another by the same name.
func imagesAreLoaded(t *testing.T, l *cluster.Cluster) {
	dir := t.TempDir()
	hello := packed(t, dir, "hello")
	lab(t, "image", "load", "--name", labName, hello)
	for _, node := range l.Nodes() {
		if got, want := loaded(t, l, "first-"+node, node, "one, two"), "hello [one two] 65532\n"; got != want {
			t.Errorf("on %s the image says %q, want %q", node, got, want)
		}
	}
	if err := l.LoadImage(t.Context(), packed(t, dir, "goodbye")); err != nil {
		t.Fatal(err)
	}
	if got, want := loaded(t, l, "second", "node1", "three"), "goodbye [three] 65532\n"; got != want {
		t.Errorf("after another image was loaded it says %q, want %q", got, want)
	}
	if err := l.LoadImage(t.Context(), filepath.Join(dir, "hello.go")); err == nil || !strings.Contains(err.Error(), "hello.go: exit status") {
		t.Errorf("loading what is no archive: %v, want a node's complaint", err)
	}
}

// packed makes an archive of a program that says a word, its arguments and who it is.
func packed(t *testing.T, dir, word string) string {
	t.Helper()
	source := filepath.Join(dir, word+".go")
	text := "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() { fmt.Println(\"" + word + "\", os.Args[1:], os.Getuid()) }\n"
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, word)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	pack := exec.CommandContext(t.Context(), "go", "run", "./hack/image", "-binary", binary, "-ref", "docker.io/library/netdoctor:lab", "-out", binary+".tar")
	pack.Dir = filepath.Join("..", "..") // the module around the lab
	for _, cmd := range []*exec.Cmd{build, pack} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	return binary + ".tar"
}

// loaded runs a pod of the image and returns what it says.
func loaded(t *testing.T, l *cluster.Cluster, name, node, args string) string {
	t.Helper()
	if _, err := l.Kubectl(t.Context(), fmt.Sprintf(loadedPod, name, node, args), "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Kubectl(t.Context(), "", "wait", "pod/"+name, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"); err != nil {
		state, _ := l.Kubectl(t.Context(), "", "get", "pod", name, "-o", "jsonpath={.status}") // the error is told
		t.Fatalf("%v\n%s", err, state)
	}
	out, err := l.Kubectl(t.Context(), "", "logs", name)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
