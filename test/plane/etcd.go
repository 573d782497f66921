package plane

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/test/scale"
)

// registry is the folder in etcd below which the API server keeps everything.
const registry = "/registry/"

// folders says where in etcd the API server keeps the objects of a source. HTTPRoutes are
// not among them: it serves them only where somebody has installed their definition.
var folders = map[*facts.Source]string{
	facts.Nodes:               registry + "minions/",
	facts.Namespaces:          registry + "namespaces/",
	facts.Pods:                registry + "pods/",
	facts.Services:            registry + "services/specs/",
	facts.EndpointSlices:      registry + "endpointslices/",
	facts.ConfigMaps:          registry + "configmaps/",
	facts.Events:              registry + "events/",
	facts.Deployments:         registry + "deployments/",
	facts.DaemonSets:          registry + "daemonsets/",
	facts.ServiceAccounts:     registry + "serviceaccounts/",
	facts.ClusterRoles:        registry + "clusterroles/",
	facts.ClusterRoleBindings: registry + "clusterrolebindings/",
	facts.NetworkPolicies:     registry + "networkpolicies/",
	facts.StatefulSets:        registry + "statefulsets/",
	facts.Ingresses:           registry + "ingress/",
	facts.ServiceCIDRs:        registry + "servicecidrs/",
	facts.APIServices:         registry + "apiregistration.k8s.io/apiservices/",
	facts.ValidatingWebhooks:  registry + "validatingwebhookconfigurations/",
	facts.MutatingWebhooks:    registry + "mutatingwebhookconfigurations/",
}

// served tells whether a bare API server serves the objects of a kind, and as what.
func served(kind string) *facts.Source {
	for src := range folders {
		if src.Kind == kind {
			return src
		}
	}
	return nil
}

// Key returns where the API server keeps an object, "" for a kind that states do not have.
func Key(kind, namespace, name string) string {
	src := served(kind)
	switch {
	case src == nil:
		return ""
	case src.Namespaced:
		return folders[src] + namespace + "/" + name
	}
	return folders[src] + name
}

// Store is the etcd of a control plane. Objects are written into it as they are, with
// status, creation times and all else that the API server lets nobody set. Its JSON
// gateway needs no client of etcd.
type Store struct {
	plane *Plane
	url   string
	holds map[string]*facts.Source // the keys of what Replace wrote last
}

// NewStore returns the etcd of a control plane that lab up --state started.
func NewStore(t *testing.T, p *Plane) *Store {
	t.Helper()
	server, err := scale.Running(filepath.Dir(p.Kubeconfig))
	if err != nil {
		t.Fatal(err)
	}
	return &Store{plane: p, url: server.EtcdURL}
}

// Keys tells for each key when it was written last, as a revision of etcd.
type Keys map[string]string

// State is what etcd holds.
type State map[string][]byte

// Empty takes from a control plane all that its API server has made for itself, but for
// what every cluster has of it: the APIServices of its own groups, and what else is to be
// kept.
func (s *Store) Empty(t *testing.T, kept ...*facts.Source) {
	t.Helper()
	var all []operation
	for src, folder := range folders {
		if src != facts.APIServices && !slices.Contains(kept, src) {
			end := []byte(folder)
			end[len(end)-1]++ // nothing below the folder comes after it
			all = append(all, operation{src: src, Delete: &keyRange{Key: []byte(folder), End: end}})
		}
	}
	s.write(t, all)
}

// Replace puts objects, given as JSON, in the place of those that it put there before, and
// returns when the API server tells of nothing else. All must be of kinds that it serves.
func (s *Store) Replace(t *testing.T, objects []json.RawMessage, now time.Time) {
	t.Helper()
	written := map[string]*facts.Source{}
	var gone, puts []operation
	for _, raw := range objects {
		o := decoded(t, raw)
		src := served(o.GetKind())
		if src == nil {
			t.Fatalf("%s %s: the API server does not serve this kind", o.GetKind(), o.GetName())
		}
		key, value := stored(t, o, src, now)
		written[key] = src
		puts = append(puts, operation{src: src, Put: &put{[]byte(key), value}})
	}
	for key, src := range s.holds {
		if written[key] == nil {
			gone = append(gone, operation{src: src, Delete: &keyRange{Key: []byte(key)}})
		}
	}
	s.write(t, append(gone, puts...))
	s.holds = written
}

func decoded(t *testing.T, raw json.RawMessage) *unstructured.Unstructured {
	t.Helper()
	var o unstructured.Unstructured
	if err := json.Unmarshal(raw, &o.Object); err != nil {
		t.Fatal(err)
	}
	return &o
}

// Load writes objects, given as JSON, and returns when the API server tells of them.
// What it does not serve is left out. Where they stand in namespaces that are not among
// them, those are made too, and so is the system's.
func (s *Store) Load(t *testing.T, objects []json.RawMessage, now time.Time) {
	t.Helper()
	puts := map[string]operation{}
	add := func(o *unstructured.Unstructured, src *facts.Source) {
		key, value := stored(t, o, src, now)
		puts[key] = operation{src: src, Put: &put{[]byte(key), value}}
	}
	spaces := map[string]bool{metav1.NamespaceSystem: true, metav1.NamespaceDefault: true}
	for _, raw := range objects {
		o := decoded(t, raw)
		if src := served(o.GetKind()); src != nil {
			add(o, src)
			if src.Namespaced {
				spaces[o.GetNamespace()] = true
			}
		}
	}
	for name := range spaces {
		if _, given := puts[Key(facts.Namespaces.Kind, "", name)]; given {
			continue
		}
		o := &unstructured.Unstructured{Object: map[string]any{"kind": "Namespace", "status": map[string]any{"phase": "Active"}}}
		o.SetName(name)
		o.SetLabels(map[string]string{"kubernetes.io/metadata.name": name})
		add(o, facts.Namespaces)
	}
	s.write(t, slices.Collect(maps.Values(puts)))
}

// Everything returns what etcd holds now.
func (s *Store) Everything(t *testing.T) State {
	t.Helper()
	out := State{}
	for _, kv := range s.read(t, false) {
		out[string(kv.Key)] = kv.Value
	}
	return out
}

// Keys returns which keys etcd holds now.
func (s *Store) Keys(t *testing.T) Keys {
	t.Helper()
	out := Keys{}
	for _, kv := range s.read(t, true) {
		out[string(kv.Key)] = kv.ModRevision
	}
	return out
}

// Reset brings back a state and returns its keys as they are then. since are the keys that
// it had last. What lies below the folders in except is left alone.
func (s *Store) Reset(t *testing.T, to State, since Keys, except ...string) Keys {
	t.Helper()
	left := func(key string) bool {
		return slices.ContainsFunc(except, func(folder string) bool { return strings.HasPrefix(key, folder) })
	}
	now := s.Keys(t)
	var all []operation
	for key, value := range to {
		if (now[key] == "" || now[key] != since[key]) && !left(key) {
			all = append(all, operation{Put: &put{[]byte(key), value}})
		}
	}
	for key := range now {
		if to[key] == nil && !left(key) {
			all = append(all, operation{Delete: &keyRange{Key: []byte(key)}})
		}
	}
	if len(all) == 0 {
		return now
	}
	s.commit(t, all)
	return s.Keys(t)
}

// await waits until the API server's watch cache is as new as a revision of etcd: a list
// that says so is given only when it has got there.
func (s *Store) await(t *testing.T, src *facts.Source, revision string) {
	t.Helper()
	group := []string{"apis", src.Group, src.Version}
	if src.Group == "" {
		group = []string{"api", src.Version}
	}
	_, err := s.plane.Client.CoreV1().RESTClient().Get().AbsPath(group...).Resource(src.Name).
		Param("resourceVersion", revision).Param("resourceVersionMatch", string(metav1.ResourceVersionMatchNotOlderThan)).DoRaw(t.Context())
	if err != nil {
		t.Fatalf("%s as of revision %s: %v", src, revision, err)
	}
}

// stored returns where the API server keeps an object, and what: JSON, which it reads as
// well as protobuf. It gives an object what every stored one has; states leave out the
// creation time of what is older than they care for.
func stored(t *testing.T, o *unstructured.Unstructured, src *facts.Source, now time.Time) (key string, value []byte) {
	t.Helper()
	key = Key(src.Kind, o.GetNamespace(), o.GetName())
	o.SetAPIVersion(strings.TrimPrefix(src.Group+"/"+src.Version, "/"))
	o.SetResourceVersion("")
	if o.GetUID() == "" {
		sum := sha1.Sum([]byte(key))
		id := hex.EncodeToString(sum[:16])
		_ = unstructured.SetNestedField(o.Object, fmt.Sprintf("%s-%s-%s-%s-%s", id[:8], id[8:12], id[12:16], id[16:20], id[20:]), "metadata", "uid")
	}
	if at := o.GetCreationTimestamp(); at.IsZero() {
		o.SetCreationTimestamp(metav1.NewTime(now.AddDate(-1, 0, 0)))
	}
	value, err := json.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	return key, value
}
