package integration

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cmd"
)

// plane is a running control plane.
type plane struct {
	kubeconfig string
	client     kubernetes.Interface
	dynamic    dynamic.Interface
}

// start starts a control plane that ends with the test.
func start(t *testing.T, args ...string) *plane {
	t.Helper()
	state := filepath.Join(t.TempDir(), "state")
	args = append([]string{"up", "--state", state,
		// Nodes here have no kubelet to lift the taint, and pods no token volumes.
		"--apiserver-arg=--disable-admission-plugins=TaintNodesByCondition,ServiceAccount"}, args...)
	lab := exec.Command(program("lab"), args...)
	stdin, err := lab.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := lab.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	lab.Stderr = &stderr
	if err := lab.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := lab.Wait(); err != nil {
			t.Errorf("lab up: %v\n%s", err, &stderr)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	kubeconfig, ready := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ready {
		t.Fatalf("lab up did not become ready: %v\n%s", err, &stderr)
	}
	return connect(t, kubeconfig)
}

func connect(t *testing.T, kubeconfig string) *plane {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	return &plane{kubeconfig: kubeconfig, client: kubernetes.NewForConfigOrDie(config), dynamic: dynamic.NewForConfigOrDie(config)}
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
func (p *plane) run(t *testing.T, args ...string) outcome {
	t.Helper()
	return p.runIn(t, t.Context(), p.env(t), args...)
}

// world is the environment of a command with its streams at hand.
type world struct {
	cmd.Env
	out, err *watched
}

func (p *plane) env(t *testing.T) world {
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

func (p *plane) runIn(t *testing.T, ctx context.Context, w world, args ...string) outcome {
	t.Helper()
	code := cmd.Run(ctx, append(args, "--kubeconfig", p.kubeconfig), w.Env)
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
