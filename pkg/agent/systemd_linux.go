package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// systemdSocket is on which systemd itself takes calls, from root alone, also where no bus
// runs.
const systemdSocket = "/run/systemd/private"

const (
	// restartTime is how long systemd may take to restart a unit. A kubelet is stopped
	// within seconds.
	restartTime = 20 * time.Second
	// stayUp is for how long a unit must run with one and the same process to be taken for
	// well: a kubelet that does not like its configuration ends within one.
	stayUp = 5 * time.Second
	// lookEvery is how often it is looked at meanwhile.
	lookEvery = 500 * time.Millisecond
)

// systemd connects to the node's systemd.
func (n node) systemd(ctx context.Context) (*systemd.Conn, error) {
	socket := filepath.Join(n.root, systemdSocket)
	if _, err := os.Stat(socket); err != nil {
		return nil, errors.New("no systemd runs on this node")
	}
	conn, err := systemd.NewConnection(func() (*dbus.Conn, error) {
		conn, err := dbus.Dial("unix:path="+socket, dbus.WithContext(ctx))
		if err != nil {
			return nil, err
		}
		if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return conn, nil
	})
	if err != nil {
		return nil, fmt.Errorf("asking systemd: %w", err)
	}
	return conn, nil
}

// unitRuns says why systemd does not run a unit with what a file holds: it cannot restart one
// that does not run, and what was written since it was started is not in force. Who read such
// a file would take it for done, and who restarted the unit would bring in force what somebody
// else has written.
func (n node) unitRuns(ctx context.Context, unit, file string) error {
	conn, err := n.systemd(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	p, err := process(ctx, conn, unit)
	if err != nil {
		return err
	}
	open, err := n.tree().open(file, false)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	defer open.Close()
	info, err := open.Stat()
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if info.ModTime().After(p.started) {
		return fmt.Errorf("%s was written after %s was started, which may run with something else: on the node, systemctl restart %s, then repeat", file, unit, unit)
	}
	return nil
}

// running is the main process of a unit.
type running struct {
	pid     uint32
	started time.Time
}

// process returns the main process of a unit that runs.
func process(ctx context.Context, conn *systemd.Conn, unit string) (running, error) {
	properties, err := conn.GetAllPropertiesContext(ctx, unit)
	if err != nil {
		return running{}, fmt.Errorf("asking systemd for %s: %w", unit, err)
	}
	load, _ := properties["LoadState"].(string)
	active, _ := properties["ActiveState"].(string)
	pid, _ := properties["MainPID"].(uint32)
	started, _ := properties["ExecMainStartTimestamp"].(uint64) // microseconds
	switch {
	case load != "loaded":
		return running{}, fmt.Errorf("systemd has no %s on this node (%s)", unit, load)
	case active != "active" || pid == 0:
		return running{}, fmt.Errorf("%s is %s", unit, active)
	}
	return running{pid, time.UnixMicro(int64(started))}, nil
}

// restart restarts a unit and returns once it has run for a while with one process.
func (n node) restart(ctx context.Context, unit string) error {
	ctx, cancel := context.WithTimeout(ctx, n.patience)
	defer cancel()
	conn, err := n.systemd(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	done := make(chan string, 1)
	if _, err := conn.RestartUnitContext(ctx, unit, "replace", done); err != nil {
		return fmt.Errorf("restarting it: %w", err)
	}
	select {
	case result := <-done:
		if result != "done" {
			return fmt.Errorf("systemd says %q to restarting it", result)
		}
	case <-ctx.Done():
		return errors.New("systemd did not restart it in time")
	}
	return staysUp(ctx, conn, unit)
}

func staysUp(ctx context.Context, conn *systemd.Conn, unit string) error {
	first, err := process(ctx, conn, unit)
	if err != nil {
		return err
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for begin := time.Now(); time.Since(begin) < stayUp; {
		select {
		case <-ctx.Done():
			return errors.New("it was not seen to run in time")
		case <-tick.C:
		}
		now, err := process(ctx, conn, unit)
		if err != nil {
			return err
		}
		if now.pid != first.pid {
			return errors.New("it ended, and systemd started it again")
		}
	}
	return nil
}
