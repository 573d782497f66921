package gather_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
	"github.com/kubectl-netdoctor/netdoctor/test/portforward"
)

// served knows the API's own kinds and those of extensions.
var (
	served = func() *runtime.Scheme {
		s := runtime.NewScheme()
		utilruntime.Must(scheme.AddToScheme(s))
		utilruntime.Must(apiregistrationv1.AddToScheme(s))
		utilruntime.Must(gatewayv1.Install(s))
		return s
	}()
	codecs = serializer.NewCodecFactory(served)
)

// cluster answers like the API server of a cluster that holds these objects: in pages,
// and in protobuf to who accepts it.
type cluster struct {
	objects []runtime.Object
	texts   map[string]string             // by path: what kubelets and pods answer
	instead map[string]http.HandlerFunc   // by path: what is answered in place of all this
	all     http.HandlerFunc              // the same for every path
	ports   map[string]portforward.Server // by pod: what stands behind its ports

	mu    sync.Mutex
	asked []string // path and query of each request
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.asked = append(c.asked, strings.TrimSuffix(r.URL.Path+"?"+r.URL.RawQuery, "?"))
	c.mu.Unlock()
	switch h := c.instead[r.URL.Path]; {
	case c.all != nil:
		c.all(w, r)
	case h != nil:
		h(w, r)
	default:
		c.answer(w, r)
	}
}

func (c *cluster) answer(w http.ResponseWriter, r *http.Request) {
	if of, asked := strings.CutSuffix(r.URL.Path, "/portforward"); asked {
		if to := c.ports[path.Base(of)]; to != nil {
			portforward.Serve(w, r, to)
			return
		}
	}
	if text, found := c.texts[r.URL.Path]; found {
		fmt.Fprint(w, text)
		return
	}
	src, namespace, name := parsePath(r.URL.Path)
	if src == nil {
		refuse(apierrors.NewNotFound(schema.GroupResource{}, r.URL.Path))(w, r)
		return
	}
	var found []runtime.Object
	for _, obj := range c.objects {
		m, _ := meta.Accessor(obj)
		if kind(obj) == src.Kind && (namespace == "" || m.GetNamespace() == namespace) && (name == "" || m.GetName() == name) {
			found = append(found, obj)
		}
	}
	switch {
	case name == "":
		list(w, r, src, found)
	case len(found) == 0:
		refuse(apierrors.NewNotFound(schema.GroupResource{Resource: src.Name}, name))(w, r)
	default:
		write(w, r, http.StatusOK, found[0])
	}
}

// queries returns the queries of the requests for a path.
func (c *cluster) queries(path string) []string {
	var out []string
	for _, asked := range c.asked {
		if p, query, _ := strings.Cut(asked, "?"); p == path {
			out = append(out, query)
		}
	}
	return out
}

// parsePath takes the path of a list or of one object apart; without a source where it
// is neither.
func parsePath(path string) (src *facts.Source, namespace, name string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	group := ""
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		group, parts = parts[1], parts[3:]
	default:
		return nil, "", ""
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		namespace, parts = parts[1], parts[2:]
	}
	if len(parts) == 2 {
		name = parts[1]
	}
	i := slices.IndexFunc(facts.Sources(), func(s *facts.Source) bool { return s.Object() && s.Group == group && s.Name == parts[0] })
	if i < 0 || len(parts) > 2 {
		return nil, "", ""
	}
	return facts.Sources()[i], namespace, name
}

// list answers with the page that the query asks for.
func list(w http.ResponseWriter, r *http.Request, src *facts.Source, all []runtime.Object) {
	out, err := served.New(schema.GroupVersionKind{Group: src.Group, Version: src.Version, Kind: src.Kind + "List"})
	if err != nil {
		panic(err)
	}
	from, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Query().Get("continue"), "from-"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	to := len(all)
	page, _ := meta.ListAccessor(out)
	page.SetResourceVersion("7105")
	if limit > 0 && from+limit < to {
		to = from + limit
		page.SetContinue(fmt.Sprintf("from-%d", to))
	}
	if err := meta.SetList(out, all[from:to]); err != nil {
		panic(err)
	}
	write(w, r, http.StatusOK, out)
}

func write(w http.ResponseWriter, r *http.Request, code int, obj runtime.Object) {
	mediaType := runtime.ContentTypeJSON
	if strings.Contains(r.Header.Get("Accept"), runtime.ContentTypeProtobuf) {
		mediaType = runtime.ContentTypeProtobuf
	}
	kinds, _, err := served.ObjectKinds(obj)
	if err != nil {
		panic(err)
	}
	info, _ := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), mediaType)
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(code)
	if err := codecs.EncoderForVersion(info.Serializer, kinds[0].GroupVersion()).Encode(obj, w); err != nil {
		panic(err)
	}
}

func kind(obj runtime.Object) string {
	kinds, _, err := served.ObjectKinds(obj)
	if err != nil {
		panic(err)
	}
	return kinds[0].Kind
}

// refuse answers with an error of the API server's own.
func refuse(err *apierrors.StatusError) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { write(w, r, int(err.ErrStatus.Code), &err.ErrStatus) }
}

// forbid refuses a verb on a resource.
func forbid(verb string, resource schema.GroupResource, name string) http.HandlerFunc {
	return refuse(apierrors.NewForbidden(resource, name,
		fmt.Errorf("User %q cannot %s resource %q in API group %q", "mira", verb, resource.Resource, resource.Group)))
}

// say answers with a status, a type and a text.
func say(code int, contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		fmt.Fprint(w, text)
	}
}

// cut breaks the connection in the middle of what another handler answers.
func cut(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		half(w, r, h)
		panic(http.ErrAbortHandler)
	}
}

// stall stops in the middle of what another handler answers and keeps the connection.
func stall(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		half(w, r, h)
		silent(w, r)
	}
}

func half(w http.ResponseWriter, r *http.Request, h http.HandlerFunc) {
	whole := httptest.NewRecorder()
	h(whole, r)
	for key, values := range whole.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(whole.Code)
	_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
	w.(http.Flusher).Flush()
}

// silent never answers.
func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// onSecondPage lets a handler answer for all pages of a list but the first.
func onSecondPage(c *cluster, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("continue") != "" {
			h(w, r)
			return
		}
		c.answer(w, r)
	}
}

// everything asks for all that can be read without a pod of one's own.
func everything() gather.Options {
	return gather.Options{Sources: facts.Sources(), Depth: facts.Logs, Now: now(), Apart: time.Millisecond}
}

func now() time.Time { return time.Date(2026, 3, 9, 5, 2, 41, 0, time.UTC) }

// look reads a cluster; when it returns the server is closed and every request has
// ended.
func look(t *testing.T, c *cluster, opts gather.Options) (*facts.Snapshot, error) {
	t.Helper()
	srv := httptest.NewServer(c)
	defer srv.Close()
	return gather.Live(quiet(t), &rest.Config{Host: srv.URL}, opts)
}

// see is look where the API server can be reached.
func see(t *testing.T, c *cluster, opts gather.Options) *facts.Snapshot {
	t.Helper()
	s, err := look(t, c, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// quiet keeps client-go from writing what it thinks of broken answers.
func quiet(t *testing.T) context.Context { return klog.NewContext(t.Context(), klog.Logger{}) }

// named is the metadata of an object.
func named(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

// pod is a running and ready pod of one container that mounts ConfigMaps.
func pod(name, container, image, node string, mounts ...string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: named("kube-system", name),
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: container, Image: image}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "10.88.3.7"}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: container, Ready: true,
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}},
		},
	}
	p.Spec.Volumes = volumes(mounts...)
	return p
}

func volumes(configMaps ...string) []corev1.Volume {
	var out []corev1.Volume
	for _, name := range configMaps {
		source := &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}
		out = append(out, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{ConfigMap: source}})
	}
	return out
}

func configz(domain string) string {
	text, _ := json.Marshal(map[string]any{"kubeletconfig": map[string]any{"clusterDomain": domain}})
	return string(text)
}
