// Package cmd holds the commands: one file each. Only here are flags, streams, the
// terminal, the clock and exit codes; everything below gets them passed in.
package cmd

import (
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// Env is the world around a command.
type Env struct {
	genericiooptions.IOStreams
	Now    func() time.Time
	Getenv func(string) string
	Web    http.RoundTripper // fetches manifests; nil: http.DefaultTransport

	// AskIn, ShowOut and ShowErr tell whether a person sits at the other end of stdin,
	// reads stdout and reads stderr.
	AskIn, ShowOut, ShowErr bool
	Width                   int // columns of stdout
}

// defaultWidth is used where stdout is no terminal, or does not tell its width.
const defaultWidth = 80

// System returns the world of the running process.
func System() Env {
	env := Env{
		IOStreams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
		Now:       time.Now, Getenv: os.Getenv, Width: defaultWidth,
		AskIn: terminal(os.Stdin), ShowOut: terminal(os.Stdout), ShowErr: terminal(os.Stderr),
	}
	if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 0 {
		env.Width = w
	}
	return env
}

func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// stateDir is where the user's own journal is kept (XDG Base Directory; the local
// application data on Windows).
func (e Env) stateDir() (string, error) {
	if dir := e.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "kubectl-netdoctor"), nil
	}
	if dir := e.Getenv("LOCALAPPDATA"); dir != "" {
		return filepath.Join(dir, "kubectl-netdoctor"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "state", "kubectl-netdoctor"), nil
}
