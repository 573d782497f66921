package integration

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cmd"
	"github.com/kubectl-netdoctor/netdoctor/test/plane"
)

// api is a running control plane, on which commands are run.
type api struct{ *plane.Plane }

// start starts a control plane that ends with the test.
func start(t testing.TB, args ...string) api {
	t.Helper()
	return api{plane.Start(t, args...)}
}

// later is the clock of the commands: objects that a test has just made are then as old
// as those of a real fault, and no grace applies to them.
func later() time.Time { return time.Now().Add(10 * time.Minute) }

// outcome is what a command left behind.
type outcome struct {
	code           int
	stdout, stderr string
}

// run runs one command line in this process, as the user that the lab's kubeconfig
// names.
func (p api) run(t *testing.T, args ...string) outcome {
	t.Helper()
	return p.runIn(t, t.Context(), p.env(t), args...)
}

// world is the environment of a command with its streams at hand.
type world struct {
	cmd.Env
	out, err *watched
}

func (p api) env(t *testing.T) world {
	t.Helper()
	w := world{out: &watched{}, err: &watched{}}
	home := t.TempDir()
	w.Env = cmd.Env{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: w.out, ErrOut: w.err},
		Now:       later, Width: 80,
		Getenv: func(key string) string { return map[string]string{"XDG_STATE_HOME": home}[key] },
	}
	return w
}

func (p api) runIn(t *testing.T, ctx context.Context, w world, args ...string) outcome {
	t.Helper()
	code := cmd.Run(ctx, append(args, "--kubeconfig", p.Kubeconfig), w.Env)
	o := outcome{code, w.out.String(), w.err.String()}
	t.Logf("netdoctor %s: exit %d\n%s%s", strings.Join(args, " "), o.code, o.stdout, o.stderr)
	return o
}

// watched is a stream that a test can wait on.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
	seen []func(string)
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	n, err := w.text.Write(p)
	text, seen := w.text.String(), w.seen
	w.mu.Unlock()
	for _, f := range seen {
		f(text)
	}
	return n, err
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// when calls f once, as soon as the stream holds a text.
func (w *watched) when(text string, f func()) {
	var once sync.Once
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, func(all string) {
		if strings.Contains(all, text) {
			once.Do(f)
		}
	})
}

// answers is a stdin that says something only when it is asked to.
func answers() (io.Reader, func(string)) {
	r, w := io.Pipe()
	return r, func(text string) { go func() { _, _ = io.WriteString(w, text) }() }
}
