package apply_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
)

// server is as much of an API server as repairs talk to: it stores objects by path,
// minds resourceVersions and UIDs, and applies JSON patches with the library of the real
// one. What the real one does not do on demand, the hooks do.
type server struct {
	config *rest.Config

	mu      sync.Mutex
	objects map[string]map[string]any
	version int
	lines   []string // the requests that write, without dry runs, as "PATCH configmaps/menu"

	// before answers in place of the server, after sees a request whose effect is there
	// but whose answer is not sent yet. Both get the request as it stands in lines.
	before func(line string) *metav1.Status
	after  func(line string)
}

func newServer(t *testing.T, objects ...*unstructured.Unstructured) *server {
	t.Helper()
	s := &server{objects: map[string]map[string]any{}}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.config = &rest.Config{Host: web.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
	for _, o := range objects {
		s.put(o)
	}
	return s
}

var resources = map[string]schema.GroupVersion{
	"ConfigMap": {Version: "v1"}, "Pod": {Version: "v1"}, "Service": {Version: "v1"},
	"Deployment": {Group: "apps", Version: "v1"}, "DaemonSet": {Group: "apps", Version: "v1"},
}

func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for kind, gv := range resources {
		m.Add(gv.WithKind(kind), meta.RESTScopeNamespace)
	}
	return m
}

// applier returns what repairs the server's cluster, at a time that stands still.
func (s *server) applier(t *testing.T) *apply.Applier {
	t.Helper()
	client, err := dynamic.NewForConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	return &apply.Applier{
		Client: client, Mapper: mapper(), Journal: s.journal(t), Server: s.config.Host, Context: "canteen",
		Now: func() time.Time { return time.Date(2026, 3, 1, 23, 59, 58, 0, time.FixedZone("", 3600)) },
	}
}

func (s *server) journal(t *testing.T) *apply.Journal {
	t.Helper()
	core, err := typedcorev1.NewForConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	return &apply.Journal{ConfigMaps: core, Dir: path.Join(t.TempDir(), "state", "cluster")}
}

// key is the path of an object.
func key(o *unstructured.Unstructured) string {
	gv := "/api/v1"
	if o.GetAPIVersion() != "v1" {
		gv = "/apis/" + o.GetAPIVersion()
	}
	return gv + "/namespaces/" + o.GetNamespace() + "/" + strings.ToLower(o.GetKind()) + "s/" + o.GetName()
}

// put stores an object as somebody else would write it, and leaves in o what the server
// set.
func (s *server) put(o *unstructured.Unstructured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store(key(o), o.Object)
}

func (s *server) store(key string, o map[string]any) {
	s.version++
	u := unstructured.Unstructured{Object: o}
	if old, known := s.objects[key]; known && u.GetUID() == "" {
		u.SetUID((&unstructured.Unstructured{Object: old}).GetUID())
	}
	if u.GetUID() == "" {
		u.SetUID(types.UID(fmt.Sprintf("uid-%d", s.version)))
	}
	u.SetResourceVersion(strconv.Itoa(s.version))
	s.objects[key] = u.DeepCopy().Object
}

// get returns an object as it is stored, nil where it is not.
func (s *server) get(o *unstructured.Unstructured) *unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects[key(o)] == nil {
		return nil
	}
	return (&unstructured.Unstructured{Object: s.objects[key(o)]}).DeepCopy()
}

// entries returns the states of the journal's entries in the cluster.
func (s *server) entries(t *testing.T) []apply.State {
	t.Helper()
	list, err := s.journal(t).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []apply.State
	for _, r := range list {
		out = append(out, r.State)
	}
	return out
}

// behave takes the hooks away; a request that was cut may still be under way.
func (s *server) behave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = nil, nil
}

func (s *server) writes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	line := r.Method + " " + lineOf(r.URL.Path)
	s.mu.Lock()
	before, after := s.before, s.after
	s.mu.Unlock()
	if before != nil {
		if status := before(line); status != nil {
			answer(w, int(status.Code), status)
			return
		}
	}
	body, _ := io.ReadAll(r.Body)
	dry := r.URL.Query().Has("dryRun")
	if r.Method == http.MethodDelete {
		var opts metav1.DeleteOptions
		_ = json.Unmarshal(body, &opts)
		dry = len(opts.DryRun) > 0
	}
	s.mu.Lock()
	if r.Method != http.MethodGet && !dry {
		s.lines = append(s.lines, line)
	}
	out, err := s.serve(r, body, dry)
	s.mu.Unlock()
	if err != nil {
		answer(w, int(err.ErrStatus.Code), &err.ErrStatus)
		return
	}
	if after != nil {
		after(line)
	}
	answer(w, http.StatusOK, out)
}

// lineOf shortens a path to the resource and, but for the journal's random names, the
// object.
func lineOf(p string) string {
	parts := strings.Split(p[strings.Index(p, "/namespaces/")+1:], "/")[2:]
	if strings.HasPrefix(parts[len(parts)-1], "netdoctor-repair-") || p == "/api/v1/namespaces/kube-system/configmaps" {
		return "journal"
	}
	return strings.Join(parts, "/")
}

func answer(w http.ResponseWriter, code int, body any) {
	if status, ok := body.(*metav1.Status); ok {
		status.Kind, status.APIVersion, status.Status = "Status", "v1", metav1.StatusFailure
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *server) serve(r *http.Request, body []byte, dry bool) (any, *apierrors.StatusError) {
	name := path.Base(r.URL.Path)
	old, known := s.objects[r.URL.Path]
	switch r.Method {
	case http.MethodGet:
		if strings.HasSuffix(r.URL.Path, "/configmaps") || strings.HasSuffix(r.URL.Path, "/pods") {
			return s.list(r)
		}
	case http.MethodPost:
		var o map[string]any
		_ = json.Unmarshal(body, &o)
		u := unstructured.Unstructured{Object: o}
		u.SetNamespace(strings.Split(r.URL.Path, "/")[4])
		if at := r.URL.Path + "/" + u.GetName(); s.objects[at] != nil {
			return nil, apierrors.NewAlreadyExists(schema.GroupResource{Resource: name}, u.GetName())
		} else if !dry {
			s.store(at, o)
		}
		return o, nil
	}
	if !known {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: path.Base(path.Dir(r.URL.Path))}, name)
	}
	switch r.Method {
	case http.MethodDelete:
		return s.remove(r.URL.Path, body, dry)
	case http.MethodPut:
		var o map[string]any
		_ = json.Unmarshal(body, &o)
		s.store(r.URL.Path, o)
		return o, nil
	case http.MethodPatch:
		return s.patch(r.URL.Path, body, dry)
	}
	return old, nil
}

func (s *server) list(r *http.Request) (any, *apierrors.StatusError) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	named, err := fields.ParseSelector(r.URL.Query().Get("fieldSelector"))
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	items := []any{}
	for at, o := range s.objects {
		if u := (unstructured.Unstructured{Object: o}); path.Dir(at) == r.URL.Path && selector.Matches(labels.Set(u.GetLabels())) &&
			named.Matches(fields.Set{"metadata.name": u.GetName()}) {
			items = append(items, o)
		}
	}
	return map[string]any{"kind": map[string]string{"configmaps": "ConfigMapList", "pods": "PodList"}[path.Base(r.URL.Path)], "apiVersion": "v1", "items": items}, nil
}

func (s *server) remove(at string, body []byte, dry bool) (any, *apierrors.StatusError) {
	var opts metav1.DeleteOptions
	_ = json.Unmarshal(body, &opts)
	u := unstructured.Unstructured{Object: s.objects[at]}
	if p := opts.Preconditions; p != nil && (p.UID != nil && *p.UID != u.GetUID() || p.ResourceVersion != nil && *p.ResourceVersion != u.GetResourceVersion()) {
		return nil, apierrors.NewConflict(schema.GroupResource{}, u.GetName(), fmt.Errorf("precondition failed"))
	}
	if !dry {
		delete(s.objects, at)
	}
	return &metav1.Status{}, nil
}

func (s *server) patch(at string, body []byte, dry bool) (any, *apierrors.StatusError) {
	u := unstructured.Unstructured{Object: s.objects[at]}
	ops, err := jsonpatch.DecodePatch(body)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	data, _ := json.Marshal(u.Object)
	if data, err = ops.Apply(data); err != nil {
		return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
	}
	var o map[string]any
	_ = json.Unmarshal(data, &o)
	if v := (&unstructured.Unstructured{Object: o}).GetResourceVersion(); v != u.GetResourceVersion() {
		return nil, apierrors.NewConflict(schema.GroupResource{}, u.GetName(), fmt.Errorf("the object has been modified"))
	}
	if !dry {
		s.store(at, o)
	}
	return o, nil
}

// refusal is an answer of the API server that is no.
func refusal(code int32, reason metav1.StatusReason, causes ...metav1.StatusCause) *metav1.Status {
	return &metav1.Status{Code: code, Reason: reason, Message: "no: " + string(reason), Details: &metav1.StatusDetails{Causes: causes}}
}

// on answers one request, as it stands in lines, with status.
func on(line string, status *metav1.Status) func(string) *metav1.Status {
	return func(got string) *metav1.Status {
		if got == line {
			return status
		}
		return nil
	}
}

// onNth answers the nth such request with status.
func onNth(line string, n int, status *metav1.Status) func(string) *metav1.Status {
	return func(got string) *metav1.Status {
		if got == line {
			n--
		}
		if got == line && n == 0 {
			return status
		}
		return nil
	}
}

// cutAt cuts the connection after the effect of the nth such request.
func cutAt(line string, n int) func(string) {
	return func(got string) {
		if got == line {
			n--
		}
		if got == line && n == 0 {
			panic(http.ErrAbortHandler)
		}
	}
}
