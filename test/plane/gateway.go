package plane

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// operation is one of a request to etcd; bytes are base64 in JSON.
type operation struct {
	src    *facts.Source // of whose objects, where that is known
	Put    *put          `json:"requestPut,omitempty"`
	Delete *keyRange     `json:"requestDeleteRange,omitempty"`
}

type put struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value"`
}

type keyRange struct {
	Key  []byte `json:"key"`
	End  []byte `json:"range_end,omitempty"` // without it the one key
	Bare bool   `json:"keys_only,omitempty"` // of a question alone
}

type pair struct {
	Key         []byte
	Value       []byte
	ModRevision string `json:"mod_revision"`
}

func (s *Store) read(t *testing.T, bare bool) []pair {
	t.Helper()
	end := []byte(registry)
	end[len(end)-1]++
	var answer struct{ Kvs []pair }
	s.post(t, "/v3/kv/range", keyRange{Key: []byte(registry), End: end, Bare: bare}, &answer)
	return answer.Kvs
}

// most is how many operations etcd takes at once.
const most = 128

// write writes to etcd and waits until the API server's watch caches have seen it.
func (s *Store) write(t *testing.T, all []operation) {
	t.Helper()
	revision := s.commit(t, all)
	seen := map[*facts.Source]bool{}
	for _, op := range all {
		if !seen[op.src] {
			seen[op.src] = true
			s.await(t, op.src, revision)
		}
	}
}

// commit writes to etcd and returns the revision of the last write, "" for none.
func (s *Store) commit(t *testing.T, all []operation) string {
	t.Helper()
	var done struct{ Header struct{ Revision string } }
	for batch := range slices.Chunk(all, most) {
		s.post(t, "/v3/kv/txn", map[string]any{"success": batch}, &done)
	}
	return done.Header.Revision
}

func (s *Store) post(t *testing.T, path string, question, answer any) {
	t.Helper()
	body, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(s.url+path, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("asking etcd: %s: %s %v", res.Status, data, err)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		t.Fatal(err)
	}
}
