package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Proxy stands in front of an API server and takes whom it serves for its administrator.
type Proxy struct {
	URL      string
	Settings Settings // of nodes, as if the API server served them
	next     http.Handler

	mu     sync.Mutex
	fault  *Fault
	nth    int
	ended  bool // a lasting fault has begun
	writes []string
	happen func()       // what a hidden fault does, while the write is held back
	gate   func(string) // is told of each write before the server is
}

// NewProxy starts a proxy that ends with the test.
func NewProxy(t *testing.T, config *rest.Config) *Proxy {
	t.Helper()
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	reverse := httputil.NewSingleHostReverseProxy(target)
	reverse.Transport, reverse.FlushInterval = transport, -1
	reverse.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	p := &Proxy{}
	mux := http.NewServeMux()
	mux.Handle(settingsPath, &p.Settings)
	mux.Handle("/", reverse)
	p.next = mux
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Arm lets a fault happen at the nth write from now on, counted from 1. happen is what a
// hidden one does.
func (p *Proxy) Arm(fault Fault, nth int, happen func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.nth, p.happen, p.writes, p.ended = &fault, nth, happen, nil, false
}

// Disarm ends every fault and returns the writes that were seen since it was armed.
func (p *Proxy) Disarm() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	writes := p.writes
	p.fault, p.happen, p.writes, p.ended, p.gate = nil, nil, nil, false, nil
	return writes
}

// Gone tells whether the server is gone for good, until Disarm.
func (p *Proxy) Gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended && p.fault.code == 0
}

// Gate lets f hold every write back, from now until Disarm.
func (p *Proxy) Gate(f func(write string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = f
}

// ServeHTTP passes a request on, unless a fault happens to it.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	write := line(r)
	fault, happen, carried, gate := p.meet(write)
	if gate != nil && write != "" {
		gate(write)
	}
	if fault == nil {
		p.next.ServeHTTP(w, r)
		return
	}
	var answer *httptest.ResponseRecorder
	if carried {
		answer = httptest.NewRecorder()
		p.next.ServeHTTP(answer, r)
	}
	switch {
	case fault.Hidden == Interrupts:
		happen()
		p.patiently(w, r, answer)
		return
	case fault.Hidden != NotHidden:
		happen()
		select {
		case <-r.Context().Done():
		case <-time.After(longest):
		}
		panic(http.ErrAbortHandler)
	case fault.half:
		body := answer.Body.Bytes()
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	case fault.code == 0:
		panic(http.ErrAbortHandler)
	}
	fault.answer(w, r)
}

// patiently carries a write out, or gives the answer to it, unless the client goes at once.
func (p *Proxy) patiently(w http.ResponseWriter, r *http.Request, answer *httptest.ResponseRecorder) {
	select {
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	case <-time.After(moment):
	}
	if answer == nil {
		p.next.ServeHTTP(w, r)
		return
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// meet counts a write and tells which fault it meets.
func (p *Proxy) meet(write string) (fault *Fault, happen func(), carried bool, gate func(string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if write != "" {
		p.writes = append(p.writes, write)
	}
	switch {
	case p.fault == nil:
		return nil, nil, false, p.gate
	case p.ended:
		return p.fault, p.happen, false, p.gate
	case write != "" && len(p.writes) == p.nth:
		p.ended = p.fault.Lasting
		return p.fault, p.happen, p.fault.Carried, p.gate
	}
	return nil, nil, false, p.gate
}

func (f *Fault) answer(w http.ResponseWriter, r *http.Request) {
	reasons := map[int]metav1.StatusReason{
		http.StatusConflict: metav1.StatusReasonConflict, http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests,
		http.StatusInternalServerError: metav1.StatusReasonInternalError, http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable,
		http.StatusGatewayTimeout: metav1.StatusReasonTimeout,
	}
	reason := reasons[f.code]
	if f.code == http.StatusConflict && r.Method == http.MethodPost {
		reason = metav1.StatusReasonAlreadyExists
	}
	w.Header().Set("Content-Type", "application/json")
	if f.retry != "" {
		w.Header().Set("Retry-After", f.retry)
	}
	w.WriteHeader(f.code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: int32(f.code), Reason: reason, Message: "the fault of a test",
	})
}

// line tells of a request that writes which object it writes, "" of any other. It leaves
// the body to be read.
func line(r *http.Request) string {
	path := r.URL.Path
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions || r.Method == http.MethodConnect:
		return ""
	case r.URL.Query().Has("dryRun"):
		return ""
	case strings.HasPrefix(path, "/apis/authentication.k8s.io/") || strings.HasPrefix(path, "/apis/authorization.k8s.io/"):
		return "" // a question
	case strings.HasSuffix(path, "/portforward"):
		return ""
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if path == settingsPath {
		return "SET " + r.URL.Query().Get("key")
	}
	var options metav1.DeleteOptions
	if r.Method == http.MethodDelete && json.Unmarshal(body, &options) == nil && len(options.DryRun) > 0 {
		return ""
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	object := strings.Join(parts[max(0, len(parts)-2):], "/")
	if r.Method == http.MethodPost {
		object = parts[len(parts)-1]
	}
	if isJournal(path, body) {
		object = "journal"
	}
	return r.Method + " " + object
}

const journalPrefix = "netdoctor-repair-"

// isJournal tells whether a write is the journal's. One that makes an entry has its name in
// the body alone, which may be JSON or protobuf.
func isJournal(path string, body []byte) bool {
	return strings.Contains(path, "/configmaps") && (strings.Contains(path, "/"+journalPrefix) || bytes.Contains(body, []byte(journalPrefix)))
}
