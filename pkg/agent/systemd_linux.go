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

// unitRuns says why systemd does not run a unit: then it cannot restart it either.
func (n node) unitRuns(ctx context.Context, unit string) error {
	conn, err := n.systemd(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = process(ctx, conn, unit)
	return err
}

// process returns the main process of a unit that runs.
func process(ctx context.Context, conn *systemd.Conn, unit string) (uint32, error) {
	properties, err := conn.GetAllPropertiesContext(ctx, unit)
	if err != nil {
		return 0, fmt.Errorf("asking systemd for %s: %w", unit, err)
	}
	load, _ := properties["LoadState"].(string)
	active, _ := properties["ActiveState"].(string)
	pid, _ := properties["MainPID"].(uint32)
	switch {
	case load != "loaded":
		return 0, fmt.Errorf("systemd has no %s on this node (%s)", unit, load)
	case active != "active" || pid == 0:
		return 0, fmt.Errorf("%s is %s", unit, active)
	}
	return pid, nil
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
		pid, err := process(ctx, conn, unit)
		if err != nil {
			return err
		}
		if pid != first {
			return errors.New("it ended, and systemd started it again")
		}
	}
	return nil
}
