package plane

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"maps"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// StandIn answers for the kubelets and the pods of one state after the other. It goes by
// whom the API server says that it asks, since a state may give two of them one address.
// What a state does not hold it does not answer, as if it could not be reached.
type StandIn struct{ now atomic.Pointer[scene] }

type scene struct {
	files map[string][]byte

	mu    sync.Mutex
	asked map[string]bool // the pods whose metrics were asked for
}

// Play answers for the files of a bundle from now on.
func (n *StandIn) Play(files []facts.File) {
	now := &scene{files: map[string][]byte{}, asked: map[string]bool{}}
	for _, f := range files {
		now.files[f.Name] = f.Data
	}
	n.now.Store(now)
}

// Serve listens until the test ends, on the ports that check asks.
func (n *StandIn) Serve(t testing.TB) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) { n.now.Load().log(w, r) })
	mux.HandleFunc("GET /configz", func(w http.ResponseWriter, r *http.Request) { n.now.Load().configz(w, r) })
	mux.HandleFunc("/portForward/{namespace}/{pod}", func(w http.ResponseWriter, r *http.Request) { n.now.Load().forward(w, r) })
	ServeKubelets(t, mux)
	for _, port := range []string{"8181", "9153", "10256"} {
		Serve(t, ":"+port, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.now.Load().pod(w, r) }))
	}
}

func (s *scene) log(w http.ResponseWriter, r *http.Request) {
	dir := r.PathValue("namespace") + "/" + r.PathValue("pod") + "/"
	name := dir + r.PathValue("container")
	previous := r.URL.Query().Get("previous") == "true"
	if previous {
		name += ".previous"
	}
	text, found := s.files[name+".log"]
	known := slices.ContainsFunc(slices.Collect(maps.Keys(s.files)), func(f string) bool {
		return strings.HasPrefix(f, dir) && strings.HasSuffix(f, ".log")
	})
	switch {
	case !known:
		panic(http.ErrAbortHandler)
	case !found && previous:
		http.Error(w, "previous terminated container not found", http.StatusBadRequest)
	default:
		_, _ = w.Write(tail(text, r.URL.Query().Get("tailLines")))
	}
}

// tail returns the last lines of a log.
func tail(text []byte, lines string) []byte {
	n, err := strconv.Atoi(lines)
	if err != nil {
		return text
	}
	all := bytes.SplitAfter(text, []byte("\n"))
	if len(all[len(all)-1]) == 0 {
		n++ // what is after the last line is none
	}
	return bytes.Join(all[max(0, len(all)-n):], nil)
}

func (s *scene) configz(w http.ResponseWriter, r *http.Request) {
	node, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("X-Forwarded-Uri"), "/api/v1/nodes/"), "/")
	node, _, _ = strings.Cut(node, ":")
	s.answer(w, "_nodes/"+node+"/configz.json")
}

// pod answers for namespaces/NAMESPACE/pods/NAME:PORT/proxy/PATH.
func (s *scene) pod(w http.ResponseWriter, r *http.Request) {
	parts := strings.SplitN(strings.TrimPrefix(r.Header.Get("X-Forwarded-Uri"), "/api/v1/namespaces/"), "/", 5)
	if len(parts) < 5 {
		panic(http.ErrAbortHandler)
	}
	name, port, _ := strings.Cut(parts[2], ":")
	pod, path := parts[0]+"/"+name, port+"/"+parts[4]
	if path != "9153/metrics" {
		s.answer(w, pod+"/proxy/"+path)
		return
	}
	first, second := s.metrics(pod)
	s.mu.Lock()
	again := s.asked[pod]
	s.asked[pod] = true
	s.mu.Unlock()
	if again {
		first = second
	}
	s.answer(w, first)
}

// metrics names the files with the two answers of a pod.
func (s *scene) metrics(pod string) (first, second string) {
	var all []string
	for name := range s.files {
		if strings.HasPrefix(name, pod+"/metrics/") {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return pod + "/proxy/9153/metrics", pod + "/proxy/9153/metrics"
	}
	slices.Sort(all) // by time
	return all[0], all[len(all)-1]
}

func (s *scene) answer(w http.ResponseWriter, file string) {
	text, found := s.files[file]
	if !found {
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(text)
}

// Serve runs a server of HTTP until the test ends.
func Serve(t testing.TB, addr string, handler http.Handler) {
	t.Helper()
	serve(t, addr, handler, nil)
}

// ServeKubelets runs a server on the kubelets' port of every address until the test ends.
func ServeKubelets(t testing.TB, handler http.Handler) {
	t.Helper()
	serve(t, ":10250", handler, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}})
}

func serve(t testing.TB, addr string, handler http.Handler, config *tls.Config) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
}

func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubelet"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
