package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// settingsPath is where the proxy serves the settings of nodes.
const settingsPath = "/settings"

// Settings are the settings of nodes that nobody has: a made-up stand-in for the nodes' files
// and kernels, kept in memory and served behind the proxy, so that the proxy's faults happen to
// them as to objects and what was written outlives a process that is killed. What really
// reads and writes a node is tested by package agent and by the lab.
type Settings struct {
	mu      sync.Mutex
	values  map[string]*string
	written map[string]bool
}

// Reset makes the settings what these are, by their keys, and forgets what was written.
func (s *Settings) Reset(to map[string]facts.Setting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values, s.written = map[string]*string{}, map[string]bool{}
	for key, setting := range to {
		s.values[key] = setting.Value
	}
}

// Value returns a setting's value, nil where it is not there.
func (s *Settings) Value(key string) *string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
}

// Written returns the keys of what was written since Reset.
func (s *Settings) Written() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for key := range s.written {
		out = append(out, key)
	}
	return out
}

// change is the body of a request that sets a setting.
type change struct{ From, To *string }

// ServeHTTP answers a GET with a setting's value, and sets it for a PUT: where it is no longer
// what it was, that is a conflict.
func (s *Settings) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.URL.Query().Get("key")
	if r.Method == http.MethodPut {
		var body change
		if json.NewDecoder(r.Body).Decode(&body) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if !facts.Same(s.values[key], body.From) {
			w.WriteHeader(http.StatusConflict)
			return
		}
		s.values[key], s.written[key] = body.To, true
	}
	_ = json.NewEncoder(w).Encode(s.values[key])
}

// reached reaches Settings through the proxy. What it says of a write is what apply.Nodes
// promises: that nothing was written only where the answer says so.
type reached struct {
	client *http.Client
	url    string
}

// Value is apply.Nodes'.
func (n reached) Value(ctx context.Context, s facts.Setting) (*string, error) {
	return n.ask(ctx, http.MethodGet, s, nil)
}

// Set is apply.Nodes'.
func (n reached) Set(ctx context.Context, s facts.Setting, to *string) error {
	_, err := n.ask(ctx, http.MethodPut, s, change{s.Value, to})
	return err
}

func (n reached) ask(ctx context.Context, method string, s facts.Setting, body any) (*string, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, n.url+settingsPath+"?key="+url.QueryEscape(s.Key()), bytes.NewReader(data))
	if err != nil {
		return nil, errors.Join(facts.ErrAsItWas, err)
	}
	answer, err := n.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err = io.ReadAll(answer.Body)
	switch code := answer.StatusCode; {
	case err != nil:
		return nil, err
	case code == http.StatusConflict:
		return nil, apply.ErrChanged
	case code >= http.StatusInternalServerError:
		return nil, fmt.Errorf("the node of %s: %s", s.Key(), answer.Status)
	case code != http.StatusOK:
		return nil, errors.Join(facts.ErrAsItWas, errors.New(answer.Status))
	}
	var value *string
	err = json.Unmarshal(data, &value)
	return value, err
}
