package integration

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/test/scale"
	"github.com/kubectl-netdoctor/netdoctor/test/states"
)

// folders says where in etcd the API server keeps the objects of a source. HTTPRoutes are
// not among them: it serves them only where somebody has installed their definition.
var folders = map[*facts.Source]string{
	facts.Nodes:               "/registry/minions/",
	facts.Namespaces:          "/registry/namespaces/",
	facts.Pods:                "/registry/pods/",
	facts.Services:            "/registry/services/specs/",
	facts.EndpointSlices:      "/registry/endpointslices/",
	facts.ConfigMaps:          "/registry/configmaps/",
	facts.Events:              "/registry/events/",
	facts.Deployments:         "/registry/deployments/",
	facts.DaemonSets:          "/registry/daemonsets/",
	facts.ServiceAccounts:     "/registry/serviceaccounts/",
	facts.ClusterRoles:        "/registry/clusterroles/",
	facts.ClusterRoleBindings: "/registry/clusterrolebindings/",
	facts.NetworkPolicies:     "/registry/networkpolicies/",
	facts.StatefulSets:        "/registry/statefulsets/",
	facts.Ingresses:           "/registry/ingress/",
	facts.ServiceCIDRs:        "/registry/servicecidrs/",
	facts.APIServices:         "/registry/apiregistration.k8s.io/apiservices/",
	facts.ValidatingWebhooks:  "/registry/validatingwebhookconfigurations/",
	facts.MutatingWebhooks:    "/registry/mutatingwebhookconfigurations/",
}

// store is the etcd of a control plane. Whole states are written into it as they are, with
// status, creation times and all else that the API server lets nobody set.
type store struct {
	plane *plane
	url   string
	holds map[string]*facts.Source // the keys of the state that is there
}

// emptied takes from a control plane all that its API server has made for itself, but for
// the APIServices of its own groups, which every cluster has.
func emptied(t *testing.T, p *plane) *store {
	t.Helper()
	server, err := scale.Running(filepath.Dir(p.kubeconfig))
	if err != nil {
		t.Fatal(err)
	}
	s := &store{plane: p, url: server.EtcdURL}
	var all []operation
	for src, folder := range folders {
		if src != facts.APIServices {
			end := []byte(folder)
			end[len(end)-1]++ // nothing below the folder comes after it
			all = append(all, operation{src: src, Delete: &deletion{Key: []byte(folder), End: end}})
		}
	}
	s.commit(t, all)
	return s
}

// load puts a state in the place of the last one, later by a whole number of seconds, and
// returns when the API server tells of nothing else.
func (s *store) load(t *testing.T, state *states.State, later time.Duration) {
	t.Helper()
	written := map[string]*facts.Source{}
	var gone, puts []operation
	for _, raw := range state.Objects() {
		src, key, value := stored(t, postponed(raw, later), state.Taken.Add(later))
		written[key] = src
		puts = append(puts, operation{src: src, Put: &put{[]byte(key), value}})
	}
	for key, src := range s.holds {
		if written[key] == nil {
			gone = append(gone, operation{src: src, Delete: &deletion{Key: []byte(key)}})
		}
	}
	s.commit(t, append(gone, puts...))
	s.holds = written
}

// operation is one of a request to etcd; bytes are base64 in JSON.
type operation struct {
	src    *facts.Source
	Put    *put      `json:"requestPut,omitempty"`
	Delete *deletion `json:"requestDeleteRange,omitempty"`
}

type put struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value"`
}

type deletion struct {
	Key []byte `json:"key"`
	End []byte `json:"range_end,omitempty"` // without it the one key
}

// most is how many operations etcd takes at once.
const most = 128

// commit writes to etcd through its JSON gateway, which needs no client of etcd, and waits
// until the API server's watch caches have seen it.
func (s *store) commit(t *testing.T, all []operation) {
	t.Helper()
	seen := map[*facts.Source]string{}
	for batch := range slices.Chunk(all, most) {
		body, err := json.Marshal(map[string]any{"success": batch})
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.Post(s.url+"/v3/kv/txn", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("writing into etcd: %s: %s %v", res.Status, answer, err)
		}
		var done struct{ Header struct{ Revision string } }
		if err := json.Unmarshal(answer, &done); err != nil {
			t.Fatal(err)
		}
		for _, op := range batch {
			seen[op.src] = done.Header.Revision
		}
	}
	for src, revision := range seen {
		s.await(t, src, revision)
	}
}

// await asks for a list that is as new as a revision of etcd, which is given only when the
// cache has got there.
func (s *store) await(t *testing.T, src *facts.Source, revision string) {
	t.Helper()
	group := []string{"apis", src.Group, src.Version}
	if src.Group == "" {
		group = []string{"api", src.Version}
	}
	_, err := s.plane.client.CoreV1().RESTClient().Get().AbsPath(group...).Resource(src.Name).
		Param("resourceVersion", revision).Param("resourceVersionMatch", string(metav1.ResourceVersionMatchNotOlderThan)).DoRaw(t.Context())
	if err != nil {
		t.Fatalf("%s as of revision %s: %v", src, revision, err)
	}
}

// stored returns where the API server keeps an object, and what: JSON, which it reads as
// well as protobuf. A field that it does not know is an error.
func stored(t *testing.T, raw []byte, now time.Time) (src *facts.Source, key string, value []byte) {
	t.Helper()
	var o unstructured.Unstructured
	if err := json.Unmarshal(raw, &o.Object); err != nil {
		t.Fatal(err)
	}
	for known := range folders {
		if known.Kind == o.GetKind() {
			src = known
		}
	}
	if src == nil {
		t.Fatalf("%s %s: the API server does not serve this kind", o.GetKind(), o.GetName())
	}
	key = folders[src] + o.GetName()
	if src.Namespaced {
		key = folders[src] + o.GetNamespace() + "/" + o.GetName()
	}
	complete(&o, src, key, now)
	value, err := json.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	strict := json.NewDecoder(bytes.NewReader(value))
	strict.DisallowUnknownFields()
	if err := strict.Decode(facts.New(src)); err != nil {
		t.Errorf("%s: %v", key, err)
	}
	return src, key, value
}

// complete gives an object what every stored one has. States leave out the creation time
// of what is older than they care for.
func complete(o *unstructured.Unstructured, src *facts.Source, key string, now time.Time) {
	o.SetAPIVersion(strings.TrimPrefix(src.Group+"/"+src.Version, "/"))
	if o.GetUID() == "" {
		sum := sha1.Sum([]byte(key))
		id := hex.EncodeToString(sum[:16])
		_ = unstructured.SetNestedField(o.Object, fmt.Sprintf("%s-%s-%s-%s-%s", id[:8], id[8:12], id[12:16], id[16:20], id[20:]), "metadata", "uid")
	}
	if at := o.GetCreationTimestamp(); at.IsZero() {
		o.SetCreationTimestamp(metav1.NewTime(now.AddDate(-1, 0, 0)))
	}
}
