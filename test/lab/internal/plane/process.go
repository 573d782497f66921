package plane

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/tail"
)

// stopTimeout is how long a process may take to end by itself.
const stopTimeout = 5 * time.Second

// processes are children that only make sense together: as soon as one ends,
// the context that newProcesses returned ends too, with an earlyExit as cause.
type processes struct {
	logDir  string
	launch  func(*exec.Cmd) error
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
	return fmt.Sprintf("%s ended early (%s); the end of %s:\n%s", e.name, status, e.log, tail.File(e.log))
}

// newProcesses returns an empty group, whose processes launch starts.
func newProcesses(ctx context.Context, logDir string, launch func(*exec.Cmd) error) (*processes, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	return &processes{logDir: logDir, launch: launch, fail: cancel}, ctx
}

// attached starts a process that is killed when the lab ends. The calling
// goroutine must be locked to its thread, which Pdeathsig watches.
func attached(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		Setpgid:   true, // Ctrl-C reaches the lab alone, which stops them in order
	}
	return cmd.Start()
}

// start runs path and sends its output to a log called after it.
func (ps *processes) start(path string, args ...string) error {
	name := filepath.Base(path)
	log, err := os.Create(ps.log(name))
	if err != nil {
		return fmt.Errorf("creating the log of %s: %w", name, err)
	}
	defer log.Close() // the child has its own copy

	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := ps.launch(cmd); err != nil {
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

func (ps *processes) log(name string) string { return filepath.Join(ps.logDir, name+".log") }

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
