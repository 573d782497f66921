package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// stopTimeout is how long a process may take to end by itself.
const stopTimeout = 5 * time.Second

// logTailBytes bounds how much of a log an earlyExit repeats.
const logTailBytes = 2048

// processes are children that only make sense together: as soon as one ends,
// the context that newProcesses returned ends too, with an earlyExit as cause.
type processes struct {
	logDir  string
	fail    context.CancelCauseFunc
	running []*process
}

type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once the process has been waited for
}

// earlyExit reports a child that ended without being asked to.
type earlyExit struct {
	name string
	err  error // what Wait returned
	log  string
}

func (e *earlyExit) Error() string {
	status := "exit status 0"
	if e.err != nil {
		status = e.err.Error()
	}
	return fmt.Sprintf("%s ended early (%s); the end of %s:\n%s", e.name, status, e.log, tail(e.log))
}

func newProcesses(ctx context.Context, logDir string) (*processes, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	return &processes{logDir: logDir, fail: cancel}, ctx
}

// start runs path and sends its output to a log called after it. The calling
// goroutine must be locked to its thread, which Pdeathsig watches.
func (ps *processes) start(path string, args ...string) error {
	name := filepath.Base(path)
	log, err := os.Create(filepath.Join(ps.logDir, name+".log"))
	if err != nil {
		return fmt.Errorf("creating the log of %s: %w", name, err)
	}
	defer log.Close() // the child has its own copy

	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		Setpgid:   true, // Ctrl-C reaches the lab alone, which stops them in order
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	ps.running = append(ps.running, p)
	go func() {
		err := cmd.Wait()
		ps.fail(&earlyExit{name: name, err: err, log: log.Name()}) // ignored after stop
		close(p.done)
	}()
	return nil
}

// stop ends the children, the last one first, so that none of them misses
// another while it shuts down.
func (ps *processes) stop() {
	ps.fail(nil)
	for _, p := range slices.Backward(ps.running) {
		p.stop()
	}
}

func (p *process) stop() {
	// Signalling fails only for a process that has ended, and then done closes.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-time.After(stopTimeout):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// tail returns the last lines of a file, or why it cannot be read.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	_, seekErr := f.Seek(-logTailBytes, io.SeekEnd) // fails for a shorter file
	content, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	text := strings.TrimSpace(string(content))
	if _, whole, found := strings.Cut(text, "\n"); seekErr == nil && found {
		return whole // the first line was probably cut
	}
	return text
}
