package cmd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

const objects = "kind: List\n"

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// installer is fix with the flags that reading a manifest takes; it trusts the server.
func installer(server *httptest.Server, in string) *fixCommand {
	env := Env{Now: time.Now, IOStreams: genericiooptions.IOStreams{In: strings.NewReader(in), ErrOut: io.Discard}}
	if server != nil {
		env.Web = server.Client().Transport
	}
	return &fixCommand{examination: examination{cluster: newCluster(env), reading: reading{timeout: time.Minute}}, output: "diff"}
}

// websites is a server of manifests: sound ones, and all that may be wrong with them.
func websites(t *testing.T) (tls, plain *httptest.Server) {
	t.Helper()
	plain = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, objects) }))
	t.Cleanup(plain.Close)
	mux := http.NewServeMux()
	mux.HandleFunc("/net.yaml", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, objects) })
	mux.HandleFunc("/empty", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, " \n") })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		line := bytes.Repeat([]byte("#"), 1<<20)
		for range manifestSize>>20 + 1 {
			_, _ = w.Write(line)
		}
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, objects)
	})
	mux.HandleFunc("/stuck", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, objects)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.Handle("/on", http.RedirectHandler("/net.yaml", http.StatusFound))
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	mux.Handle("/astray", http.RedirectHandler(strings.Replace(plain.URL, "//", "//me:hush@", 1)+"/net.yaml", http.StatusFound))
	mux.Handle("/down", http.RedirectHandler(plain.URL+"/net.yaml", http.StatusFound))
	tls = httptest.NewTLSServer(mux)
	t.Cleanup(tls.Close)
	return tls, plain
}

func TestReadManifest(t *testing.T) {
	tls, plain := websites(t)
	file := filepath.Join(t.TempDir(), "net.yaml")
	if err := os.WriteFile(file, []byte(objects), 0o600); err != nil {
		t.Fatal(err)
	}
	right, wrong := sumOf(objects), sumOf("kind: Other\n")
	for _, tt := range []struct {
		name, from  string
		pinned, own string // sums
		version     string
		origin, err string // what is in them
	}{
		{name: "file", from: file, origin: file + ", sha256 " + right},
		{name: "file with its sum", from: file, own: strings.ToUpper(right), origin: right + ", as in --manifest-sha256"},
		{name: "file with another sum", from: file, own: wrong, err: "not the one of --manifest-sha256: its sha256 is " + right + ", not " + wrong},
		{name: "stdin", from: "-", origin: "on standard input, sha256 " + right},
		{name: "folder", from: t.TempDir(), err: "is a directory"},
		{name: "pinned", from: tls.URL + "/net.yaml", pinned: right, version: "v1.2.3",
			origin: tls.URL + "/net.yaml (v1.2.3), sha256 " + right + ", as in plugins.yaml"},
		{name: "pinned and given", from: tls.URL + "/net.yaml", pinned: right, own: right, origin: "as in plugins.yaml and --manifest-sha256"},
		{name: "changed since it was pinned", from: tls.URL + "/net.yaml", pinned: wrong,
			err: "/net.yaml is not the one of plugins.yaml: its sha256 is " + right + ", not " + wrong + "; nothing was changed. To install it all the same, save it"},
		{name: "pinned, and another sum given", from: tls.URL + "/net.yaml", pinned: right, own: wrong, err: "not the one of --manifest-sha256"},
		{name: "no sum", from: tls.URL + "/net.yaml", origin: right + ", compared with nothing: "},
		{name: "goes on", from: tls.URL + "/on", pinned: right, origin: "/on, sha256 "},
		{name: "goes on for ever", from: tls.URL + "/round", pinned: right, err: "more than 10 times"},
		{name: "goes on to http", from: tls.URL + "/down", err: "/down: it goes on to " + plain.URL + "/net.yaml, and only https is trusted"},
		{name: "goes on to http, the sum known", from: tls.URL + "/down", pinned: right, origin: "as in plugins.yaml"},
		{name: "http", from: plain.URL + "/net.yaml", err: "only https is trusted"},
		{name: "http with a sum", from: plain.URL + "/net.yaml", own: right, origin: "as in --manifest-sha256"},
		{name: "password", from: strings.Replace(tls.URL, "//", "//me:secret@", 1) + "/net.yaml", own: right, origin: tls.URL + "/net.yaml, sha256 "},
		{name: "capitals", from: strings.Replace(tls.URL, "https", "HTTPS", 1) + "/net.yaml", own: right, origin: "/net.yaml, sha256 "},
		{name: "http in capitals", from: strings.Replace(plain.URL, "http", "HTTP", 1) + "/net.yaml", err: "only https is trusted"},
		{name: "not there", from: tls.URL + "/none", err: "/none: the answer is 404 Not Found; save it from where it can be reached"},
		{name: "empty", from: tls.URL + "/empty", err: "is empty"},
		{name: "cut off", from: tls.URL + "/cut", err: "unexpected EOF"},
		{name: "too large", from: tls.URL + "/large", err: "/large: it is larger than 16 MiB"},
		{name: "nobody there", from: "https://127.0.0.1:1/net.yaml", err: "connection refused; save it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := installer(tls, objects)
			o.manifestSum = tt.own
			err := o.readManifest(t.Context(), tt.from, plugins.Manifest{URL: tt.from, Version: tt.version, SHA256: tt.pinned})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "\n") || o.params.Manifest != "" {
					t.Errorf("got error %v, want one line with %q", err, tt.err)
				}
				return
			}
			if err != nil || o.params.Manifest != objects || !strings.Contains(o.params.Origin, tt.origin) {
				t.Errorf("got %q of %q and error %v, want %q", o.params.Manifest, o.params.Origin, err, tt.origin)
			}
		})
	}
}

// Whatever becomes of an address, neither what is said of it nor the commands that are shown
// have the password or token in it.
func TestNoPassword(t *testing.T) {
	tls, plain := websites(t)
	at := func(url, user string) string { return strings.Replace(url, "//", "//"+user+"@", 1) }
	for _, tt := range []struct{ from, command, err string }{
		{at(tls.URL, "me:hush") + "/empty", tls.URL + "/empty", "/empty is empty"},
		{at(tls.URL, "hush") + "/none", tls.URL + "/none", "/none: the answer is 404"},
		{at(tls.URL, "me:h%ssh") + "/net.yaml", tls.URL + "/net.yaml", "/net.yaml: that is no address; what is special in a name or a password"},
		{at(tls.URL, "me:h/ush") + "/net.yaml", tls.URL + "/net.yaml", "/net.yaml: that is no address"},
		{"https://me:h@ush@127.0.0.1:x/n", "https://127.0.0.1:x/n", `https://127.0.0.1:x/n: invalid port ":x"`},
		{"https:/me:hush@host/n", "https://host/n", "https://host/n: http: no Host"},
		{"ftp://me:hush@host/n", "ftp://host/n", "open ftp://host/n: no such file"},
		{at(tls.URL, "me:hush") + "/astray", tls.URL + "/astray", "goes on to " + plain.URL},
		{at(plain.URL, "me:hush") + "/n", plain.URL + "/n", plain.URL + "/n: only https is trusted"},
	} {
		o := installer(tls, "")
		o.manifest = tt.from
		if got := o.given(); len(got) != 2 || got[1] != tt.command {
			t.Errorf("%s: the command has %q, want %q", tt.from, got, tt.command)
		}
		err := o.readManifest(t.Context(), tt.from, plugins.Manifest{})
		if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "ush") || strings.Contains(err.Error(), "ssh") {
			t.Errorf("%s: got error %v, want %q", tt.from, err, tt.err)
		}
	}
	o := installer(nil, "")
	o.manifest = "-"
	if got := o.given(); len(got) != 2 || got[1] != "'-'" {
		t.Errorf("of standard input the command has %q", got)
	}
	if got := shown("https://host/@me/n.yaml"); got != "https://host/@me/n.yaml" {
		t.Errorf("an @ behind the host makes it %q", got)
	}
}

// What does not come must not be waited for longer than the user has patience.
func TestReadManifestInTime(t *testing.T) {
	tls, _ := websites(t)
	o := installer(tls, "")
	o.timeout = 50 * time.Millisecond
	begin := time.Now()
	err := o.readManifest(t.Context(), tls.URL+"/stuck", plugins.Manifest{})
	if took := time.Since(begin); err == nil || !strings.Contains(err.Error(), "/stuck: not all of it came within 50ms; save it") || took > manifestTime/2 {
		t.Errorf("got error %v after %s", err, took)
	}
	o.timeout = time.Hour
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.readManifest(ended, tls.URL+"/stuck", plugins.Manifest{}); err == nil || !strings.Contains(err.Error(), "interrupted; nothing was changed") {
		t.Errorf("got error %v, want that it was interrupted", err)
	}
}

// Neither must a pipe that nobody writes to, whatever it is called.
func TestReadManifestFromPipe(t *testing.T) {
	silent, other := io.Pipe()
	t.Cleanup(func() { other.Close() })
	pipes := map[string]string{"-": "on standard input"}
	if name := namedPipe(t); name != "" {
		pipes[name] = name
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for from, called := range pipes {
		o := installer(nil, "")
		o.env.In, o.timeout = silent, 50*time.Millisecond
		want := "reading the manifest: " + called + ": not all of it came within 50ms (--timeout)"
		if err := o.readManifest(t.Context(), from, plugins.Manifest{}); err == nil || err.Error() != want {
			t.Errorf("%s: got error %v, want %q", from, err, want)
		}
		o.timeout = time.Hour
		if err := o.readManifest(ended, from, plugins.Manifest{}); err == nil || err.Error() != "reading the manifest: interrupted; nothing was changed" {
			t.Errorf("%s: got error %v, want that it was interrupted", from, err)
		}
	}
}

// The sum of the catalogue counts also where its address is named.
func TestReadNamed(t *testing.T) {
	tls, _ := websites(t)
	o := installer(tls, "")
	if err := o.readNamed(t.Context()); err != nil || o.params.Manifest != "" {
		t.Errorf("got %q and error %v, want that nothing is read which was not named", o.params.Manifest, err)
	}
	o.params.Plugin, o.manifest = "flannel", plugins.Named("flannel").Install.Manifest.URL
	o.env.Web = there{tls}
	if err := o.readNamed(t.Context()); err == nil || !strings.Contains(err.Error(), "not the one of plugins.yaml") {
		t.Errorf("got error %v, want that the sum is another one", err)
	}
}

// there takes every question to one server.
type there struct{ *httptest.Server }

func (s there) RoundTrip(r *http.Request) (*http.Response, error) {
	next, err := http.NewRequestWithContext(r.Context(), r.Method, s.URL+"/net.yaml", nil)
	if err != nil {
		return nil, err
	}
	return s.Client().Transport.RoundTrip(next)
}
