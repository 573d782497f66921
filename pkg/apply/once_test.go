package apply_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
)

// Only the repetition of writes after trouble of the server's is prevented.
func TestOnce(t *testing.T) {
	for _, tt := range []struct {
		method string
		status int
		kept   bool
	}{
		{http.MethodPatch, http.StatusGatewayTimeout, false},
		{http.MethodPost, http.StatusInternalServerError, false},
		{http.MethodDelete, http.StatusServiceUnavailable, false},
		{http.MethodPatch, http.StatusTooManyRequests, true},
		{http.MethodGet, http.StatusGatewayTimeout, true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(tt.status)
		}))
		request, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := apply.Once(http.DefaultTransport).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		server.Close()
		if kept := response.Header.Get("Retry-After") != ""; kept != tt.kept {
			t.Errorf("%s answered with %d: Retry-After kept: %t, want %t", tt.method, tt.status, kept, tt.kept)
		}
	}
}
