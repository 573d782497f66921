package cmd

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// TestScripts runs whole command lines: what they print, and their exit codes. The
// command netdoctor of the scripts runs in this process, succeeds whatever happened and
// tells the exit code at the end of stderr, so that 1, 2 and 3 can be told apart. The
// folder web of a script is all that there is of the web, wherever a file of that name is
// looked for.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROOT", root)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"netdoctor": runScripted},
	})
}

func runScripted(ts *testscript.TestScript, _ bool, args []string) {
	env := Env{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: ts.Stdout(), ErrOut: ts.Stderr()},
		Now:       func() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) },
		Getenv:    ts.Getenv, Width: 80,
		Web: folder{http.NewFileTransportFS(os.DirFS(ts.MkAbs("web")))},
	}
	code := Run(context.Background(), args, env)
	fmt.Fprintf(ts.Stderr(), "exit %d\n", code)
}

type folder struct{ http.RoundTripper }

func (f folder) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Path = "/" + path.Base(r.URL.Path)
	return f.RoundTripper.RoundTrip(r)
}
