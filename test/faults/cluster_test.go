package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/test/plane"
)

// volatile are the folders in which an API server writes on its own account.
var volatile = []string{"/registry/leases/", "/registry/masterleases/", "/registry/peerserverleases/", "/registry/apiregistration.k8s.io/",
	"/registry/events/", "/registry/flowschemas/", "/registry/prioritylevelconfigurations/", "/registry/ranges/"}

// derived are the folders whose objects an API server makes and deletes together with
// others.
const derived = "/registry/ipaddresses/"

// cluster is a control plane with the proxy in front of it.
type cluster struct {
	*plane.Plane
	store   *plane.Store
	proxy   *Proxy
	nodes   *plane.StandIn
	applier *apply.Applier
	mapper  meta.ResettableRESTMapper
	hurry   impatient
	dir     string      // of the journal's files
	bare    plane.State // as it is without any state
	keys    plane.Keys  // as they were last
	turns   turns

	settings map[string]facts.Setting // of nodes, that the plan changes, as they were, by their keys
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	p := plane.Start(t, "--no-controllers")
	plane.Everywhere(t)
	p.ForbidServer(t, facts.APIServices) // it registers the groups of new definitions
	c := &cluster{Plane: p, store: plane.NewStore(t, p), proxy: NewProxy(t, p.Config), nodes: &plane.StandIn{}, dir: filepath.Join(t.TempDir(), "state")}
	c.turns = turns{taken: map[string]int{}, tried: map[string]map[string]bool{}}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(p.Client.Discovery()))
	c.applier = c.connect(t)
	c.nodes.Serve(t)
	c.store.Empty(t, facts.ServiceCIDRs)
	c.bare, c.keys = c.store.Everything(t), c.store.Keys(t)
	return c
}

// connect returns what repairs the cluster through the proxy.
func (c *cluster) connect(t *testing.T) *apply.Applier {
	t.Helper()
	c.hurry.gone = c.proxy.Gone
	a, err := repairing(c.proxy.URL, c.dir, &c.hurry)
	if err != nil {
		t.Fatal(err)
	}
	a.Mapper = c.mapper
	return a
}

// repairing returns what repairs the cluster behind a proxy, and its nodes, without a mapper.
func repairing(proxy, dir string, hurry *impatient) (*apply.Applier, error) {
	config := &rest.Config{Host: proxy, QPS: -1, Timeout: time.Minute, WarningHandler: rest.NoWarnings{}}
	config.Wrap(apply.Once)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		hurry.next = next
		return hurry
	})
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	core, err := typedcorev1.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	return &apply.Applier{
		Client: objects, Server: proxy, Now: time.Now, Nodes: reached{client, proxy},
		Journal: &apply.Journal{ConfigMaps: core, Dir: dir},
	}, nil
}

// impatient is a client that can be told that its time is over.
type impatient struct {
	next   http.RoundTripper
	gone   func() bool
	mu     sync.Mutex
	cancel context.CancelFunc
}

var errTimeOut = fmt.Errorf("the time of a test: %w", context.DeadlineExceeded)

// RoundTrip is one request at a time. A server that is gone refuses the next one; were it
// only cut, client-go would repeat each read for ten seconds.
func (i *impatient) RoundTrip(r *http.Request) (*http.Response, error) {
	if i.gone != nil && i.gone() {
		return nil, syscall.ECONNREFUSED
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	i.mu.Lock()
	i.cancel = func() { cancel(errTimeOut) }
	i.mu.Unlock()
	res, err := i.next.RoundTrip(r.WithContext(ctx))
	if err != nil && errors.Is(context.Cause(ctx), errTimeOut) {
		err = errTimeOut
	}
	return res, err
}

func (i *impatient) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cancel()
}

// reachable gives nodes, and pods that run, the addresses at which they are asked.
func reachable(t *testing.T, objects []json.RawMessage) []json.RawMessage {
	t.Helper()
	for i, raw := range objects {
		var o unstructured.Unstructured
		if err := json.Unmarshal(raw, &o.Object); err != nil {
			t.Fatal(err)
		}
		_, addressed, _ := unstructured.NestedSlice(o.Object, "status", "addresses")
		phase, _, _ := unstructured.NestedString(o.Object, "status", "phase")
		_, hasIP, _ := unstructured.NestedString(o.Object, "status", "podIP")
		switch address := "10.77.1." + strconv.Itoa(i+1); {
		case o.GetKind() == "Node" && !addressed:
			_ = unstructured.SetNestedSlice(o.Object, []any{map[string]any{"type": "InternalIP", "address": address}}, "status", "addresses")
			_ = unstructured.SetNestedField(o.Object, int64(10250), "status", "daemonEndpoints", "kubeletEndpoint", "Port")
		case o.GetKind() == "Pod" && !hasIP && phase == "Running":
			_ = unstructured.SetNestedField(o.Object, address, "status", "podIP")
			_ = unstructured.SetNestedSlice(o.Object, []any{map[string]any{"ip": address}}, "status", "podIPs")
		default:
			continue
		}
		var err error
		if objects[i], err = json.Marshal(o.Object); err != nil {
			t.Fatal(err)
		}
	}
	return objects
}

// live returns the objects as the API server tells of them; what it does not serve stays
// as it is.
func (c *cluster) live(t *testing.T, objects []json.RawMessage) []json.RawMessage {
	t.Helper()
	var out []json.RawMessage
	for _, raw := range objects {
		var o unstructured.Unstructured
		if err := json.Unmarshal(raw, &o.Object); err != nil {
			t.Fatal(err)
		}
		now := c.get(t, o.GroupVersionKind(), o.GetNamespace(), o.GetName())
		if now == nil {
			out = append(out, raw)
			continue
		}
		data, err := json.Marshal(now.Object)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, data)
	}
	return out
}

// get reads an object past the proxy; nil where there is none.
func (c *cluster) get(t *testing.T, kind schema.GroupVersionKind, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	if kind == settingKind {
		return c.setting(name)
	}
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.Dynamic.Resource(mapping.Resource).Namespace(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if kind.Kind == "Namespace" && o.GetDeletionTimestamp() != nil {
		return nil // no controller runs that ends it
	}
	return o
}

// key finds where etcd keeps an object: of a kind that no state has, by its name and the
// version that it has.
func (c *cluster) key(ref facts.Ref, version string) string {
	if key := plane.Key(ref.Kind, ref.Namespace, ref.Name); key != "" {
		return key
	}
	for key, revision := range c.keys {
		if revision == version && named(key, ref) {
			return key
		}
	}
	return ""
}

func named(key string, ref facts.Ref) bool {
	return strings.HasSuffix(key, strings.TrimSuffix("/"+ref.Namespace, "/")+"/"+ref.Name)
}
