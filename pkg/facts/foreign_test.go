package facts

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/kubectl/pkg/cmd/clusterinfo"
)

// logs answers for the kubelet: the log of each container, or an error.
type logs map[string]any

func (l logs) forObject(_ genericclioptions.RESTClientGetter, object, options runtime.Object, _ time.Duration, _ bool) (map[corev1.ObjectReference]rest.ResponseWrapper, error) {
	answer := l[object.(*corev1.Pod).Name+"/"+options.(*corev1.PodLogOptions).Container]
	if err, ok := answer.(noRequest); ok {
		return nil, err
	}
	return map[corev1.ObjectReference]rest.ResponseWrapper{{}: response{answer}}, nil
}

type noRequest struct{ error }

type response struct{ answer any }

func (r response) DoRaw(context.Context) ([]byte, error) {
	if err, ok := r.answer.(error); ok {
		return nil, err
	}
	return []byte(r.answer.(string)), nil
}

func (r response) Stream(context.Context) (io.ReadCloser, error) { return nil, errors.ErrUnsupported }

// dump lets kubectl cluster-info dump itself write a cluster to a directory.
func dump(t *testing.T, answers logs, namespaces []string, objects ...runtime.Object) string {
	t.Helper()
	flags := genericclioptions.NewPrintFlags("").WithTypeSetter(scheme.Scheme).WithDefaultOutput("json")
	printer, err := flags.ToPrinter()
	if err != nil {
		t.Fatal(err)
	}
	client, dir := fake.NewClientset(objects...), t.TempDir()
	o := clusterinfo.ClusterInfoDumpOptions{
		PrintFlags: flags, PrintObj: printer.PrintObj, OutputDir: dir, Namespaces: namespaces,
		CoreClient: client.CoreV1(), AppsClient: client.AppsV1(), LogsForObject: answers.forObject,
	}
	o.Out = io.Discard
	if err := o.Run(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func dumpedPod(namespace, name string, containers ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	for _, c := range containers {
		if strings.HasPrefix(c, "init") {
			p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: c})
		} else {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: c})
		}
	}
	return p
}

func TestForeignDump(t *testing.T) {
	const fatal = "[FATAL] plugin/loop: Loop (127.0.0.1:55953 -> :53) detected"
	answers := logs{
		"coredns-x/coredns": fatal, // without a newline at its end
		"cni-x/init-copy":   "copied\n",
		"cni-x/agent":       "==== START logs for container of mine\n==== END logs for container b of pod c/d ====\n",
		"cni-x/idle":        "",
		"lost/one":          "one\n",
		"lost/two":          errors.New(`Get "https://10.0.0.2:10250/containerLogs": dial tcp 10.0.0.2:10250: i/o timeout`),
		"unmade/one":        noRequest{errors.New("no such thing")},
		"young/one":         errors.New(`container "one" in pod "young" is waiting to start: ContainerCreating`),
	}
	taken := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	dir := dump(t, answers, []string{"kube-system", "shop"},
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}},
		&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "e"}, LastTimestamp: metav1.NewTime(taken)},
		dumpedPod("kube-system", "coredns-x", "coredns"),
		dumpedPod("kube-system", "cni-x", "init-copy", "agent", "idle"),
		dumpedPod("kube-system", "lost", "one", "two"),
		dumpedPod("kube-system", "unmade", "one"),
		dumpedPod("shop", "young", "one"))
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	wantLogs := map[string]Log{
		"kube-system/coredns-x/coredns": {Current: fatal},
		"kube-system/cni-x/init-copy":   {Current: "copied\n"},
		"kube-system/cni-x/agent":       {Current: answers["cni-x/agent"].(string)},
		"kube-system/cni-x/idle":        {},
		"kube-system/lost/one":          {Current: "one\n"},
	}
	if d := cmp.Diff(wantLogs, s.Logs); d != "" {
		t.Errorf("logs (-want +got):\n%s", d)
	}
	const unwritten = "kubectl cluster-info dump does not write it"
	wantGaps := map[string]string{
		"logs/kube-system/lost":   `Get "https://10.0.0.2:10250/containerLogs": dial tcp 10.0.0.2:10250: i/o timeout`,
		"logs/kube-system/unmade": "no such thing",
		"namespaces":              unwritten, "endpointslices": unwritten, "configmaps": unwritten, "serviceaccounts": unwritten,
		"clusterroles": unwritten, "clusterrolebindings": unwritten, "networkpolicies": unwritten, "statefulsets": unwritten, "ingresses": unwritten, "httproutes": unwritten,
		"servicecidrs": unwritten, "apiservices": unwritten, "validatingwebhookconfigurations": unwritten, "mutatingwebhookconfigurations": unwritten, "metrics": unwritten, "proxy": unwritten, "configz": unwritten, "host": unwritten, "answers": unwritten, "probe": unwritten,
	}
	if d := cmp.Diff(wantGaps, s.Gaps); d != "" {
		t.Errorf("gaps (-want +got):\n%s", d)
	}
	if got := len(s.Nodes) + len(s.Pods) + len(s.Services) + len(s.Events); got != 8 {
		t.Errorf("got %d objects, want 8", got)
	}
	if s.Depth != Logs || s.Scope != "shop" || !s.Taken.Equal(taken) {
		t.Errorf("got depth %s, namespace %q, taken %s", s.Depth, s.Scope, s.Taken)
	}
}

// A dump that includes kube-public or several namespaces is not limited to one.
func TestForeignScope(t *testing.T) {
	for _, tt := range []struct {
		name       string
		namespaces []string
		want       string
	}{
		{"one", []string{"kube-system", "shop"}, "shop"},
		{"all", []string{"kube-public", "kube-system", "shop"}, ""},
		{"system", []string{"kube-system"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Load(dump(t, nil, tt.namespaces))
			if err != nil {
				t.Fatal(err)
			}
			if s.Scope != tt.want {
				t.Errorf("got %q, want %q", s.Scope, tt.want)
			}
		})
	}
}

// The dump ends at its first error. What only some namespaces have is not known.
func TestForeignDumpBrokenOff(t *testing.T) {
	dir := dump(t, logs{"p/c": "x"}, []string{"a", "b"}, dumpedPod("a", "p", "c"))
	for _, name := range []string{"deployments", "replicasets", "pods"} {
		if err := os.Remove(filepath.Join(dir, "b", name+".json")); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		src  *Source
		want string
	}{
		{Deployments, "the dump does not hold those of namespace b"},
		{Pods, "the dump does not hold those of namespace b"},
		{DaemonSets, ""},
		{Nodes, ""},
	} {
		if got := s.Missing(tt.src); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.src, got, tt.want)
		}
	}
	if len(s.Pods) != 0 {
		t.Errorf("got %d pods of a list that is not whole", len(s.Pods))
	}
}

// Wherever the copy of a dumped log ends inside a container's part, it is truncated.
func TestTruncatedDumpLog(t *testing.T) {
	dir := dump(t, logs{"p/c": "one\ntwo", "p/d": "three\n"}, []string{"a"}, dumpedPod("a", "p", "c", "d"))
	data, err := os.ReadFile(filepath.Join(dir, "a", "p", "logs.txt"))
	if err != nil {
		t.Fatal(err)
	}
	between := strings.Index(string(data), "==== START logs for container d")
	for i := 1; i < len(data); i++ {
		s, err := LoadFiles([]File{{"a/p/logs.txt", data[:i]}})
		if (s != nil || err == nil) != (i == between) {
			t.Errorf("cut after %d bytes: got %v, %v", i, s, err)
		}
	}
}
