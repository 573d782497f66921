package apply

import "net/http"

// Once keeps client-go from repeating a write by itself, which it does where an answer of
// the server's trouble (5xx) asks for patience (Retry-After). Behind a time-out the write
// may stand, and the second one is then refused as a conflict: as if nothing had been
// written. A 429 comes before anything is done, and is waited for.
func Once(next http.RoundTripper) http.RoundTripper { return once{next} }

type once struct{ next http.RoundTripper }

// RoundTrip takes Retry-After from such answers.
func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := o.next.RoundTrip(r)
	if err == nil && r.Method != http.MethodGet && response.StatusCode >= http.StatusInternalServerError {
		response.Header.Del("Retry-After")
	}
	return response, err
}
