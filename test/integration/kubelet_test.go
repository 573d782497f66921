package integration

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/test/plane"
	"github.com/kubectl-netdoctor/netdoctor/test/portforward"
)

// kubelet is a stand-in for the kubelets of all nodes: the API server comes to it for
// container logs and /configz, at each node's own address. It knows nothing but what
// logs and configz tell it.
type kubelet struct {
	logs    func(namespace, pod, container string, previous bool) (string, bool)
	configz func(nodeIP string) (string, bool)
	ports   portforward.Server // behind those of every pod; nil: none is forwarded
}

// serve listens on the kubelets' port of every address until the test ends.
func (k kubelet) serve(t testing.TB) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		text, found := k.logs(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"), r.URL.Query().Get("previous") == "true")
		if !found {
			http.Error(w, "previous terminated container not found", http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(text))
	})
	mux.HandleFunc("GET /configz", func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
		text, found := k.configz(host)
		if !found {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(text))
	})
	if k.ports != nil {
		mux.HandleFunc("/portForward/{namespace}/{pod}", func(w http.ResponseWriter, r *http.Request) { portforward.Serve(w, r, k.ports) })
	}
	plane.ServeKubelets(t, mux)
}

// fromBundle answers with the logs and configurations that a bundle holds.
func fromBundle(t *testing.T, dir string) kubelet {
	t.Helper()
	s, err := facts.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	byIP := map[string]string{}
	for _, n := range s.Nodes {
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP {
				byIP[a.Address] = n.Name
			}
		}
	}
	return kubelet{
		logs: func(namespace, pod, container string, previous bool) (string, bool) {
			if previous {
				container += ".previous"
			}
			data, err := os.ReadFile(filepath.Join(dir, namespace, pod, container+".log"))
			return string(data), err == nil || !previous
		},
		configz: func(ip string) (string, bool) {
			data, err := os.ReadFile(filepath.Join(dir, "_nodes", byIP[ip], "configz.json"))
			return string(data), err == nil
		},
	}
}

// serveDNSPods answers for the CoreDNS pods on the ports of the stock Corefile.
func serveDNSPods(t *testing.T) {
	t.Helper()
	answer := func(body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/ready") || strings.HasPrefix(r.URL.Path, "/metrics") {
				_, _ = w.Write([]byte(body))
			}
		})
	}
	plane.Serve(t, ":8181", answer("OK"))
	plane.Serve(t, ":9153", answer("# TYPE coredns_panics_total counter\ncoredns_panics_total 0\n"))
}
