package gather_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
)

const login = "<html><body><form action=/login>Sign in</form></body></html>"

// Without an API server that lets itself be asked there is one error, and no cluster
// without objects; nothing more is asked.
func TestNoAPIServer(t *testing.T) {
	const notOne = "the server's answer is not that of a Kubernetes API server: "
	html := say(http.StatusOK, "text/html", login)
	tests := []struct {
		name  string
		all   http.HandlerFunc
		asked []string
		want  string
	}{
		{name: "login page", all: html, want: notOne + "invalid character '<' looking for beginning of value"},
		{name: "redirect to a login page", asked: []string{"/version", "/login"}, all: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/login" {
				html(w, r)
				return
			}
			http.Redirect(w, r, "/login", http.StatusFound)
		}, want: notOne + "invalid character '<' looking for beginning of value"},
		{name: "another service's JSON", all: say(http.StatusOK, "application/json", `{"status":"up"}`), want: notOne + "it names no version"},
		{name: "empty", all: say(http.StatusOK, "application/json", ""), want: notOne + "unexpected end of JSON input"},
		{name: "unauthorized", all: refuse(unauthorized()), want: "the server has asked for the client to provide credentials"},
		{name: "broken", all: say(http.StatusInternalServerError, "text/plain", "etcd: no leader"),
			want: `an error on the server ("etcd: no leader") has prevented the request from succeeding`},
		{name: "cut", all: cut(say(http.StatusOK, "application/json", `{"gitVersion": "v1.37.2"}`)),
			want: "unexpected error when reading response body. Please retry. Original error: unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &cluster{all: tt.all}
			s, err := look(t, c, everything())
			if s != nil || err == nil {
				t.Fatalf("got snapshot %v, error %v; want an error alone", s, err)
			}
			if d := cmp.Diff(tt.want, err.Error()); d != "" {
				t.Errorf("error (-want +got):\n%s", d)
			}
			if tt.asked == nil {
				tt.asked = []string{"/version"}
			}
			if d := cmp.Diff(tt.asked, c.asked); d != "" {
				t.Errorf("requests (-want +got):\n%s", d)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	s, err := gather.Live(quiet(t), &rest.Config{Host: srv.URL}, everything())
	if s != nil || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got snapshot %v, error %v; want a refused connection", s, err)
	}
}

// Who may not ask for the version may still read everything else.
func TestVersionForbidden(t *testing.T) {
	c := sound("quarry")
	c.instead["/version"] = forbid("get", resource("", "version"), "")
	want := known(t, c, "quarry")
	want.Server = ""
	same(t, want, see(t, c, everything()))
}
