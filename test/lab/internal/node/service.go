package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/tail"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/wait"
)

// systemdProgram is where distributions that have merged /usr keep it.
const systemdProgram = "/usr/lib/systemd/systemd"

// serviceTimeout is how long a service may take to start or to end.
const serviceTimeout = 30 * time.Second

// service is a program that a distribution would run as a unit.
type service struct {
	name    string
	command string
	// ready is a command that succeeds once the service does its work.
	ready []string
	// unit says that systemd runs it, by a unit of that name.
	unit bool
}

func (n Node) service(name string) (service, error) {
	services := []service{
		{name: "containerd", command: "containerd --config=/etc/containerd/config.toml", ready: []string{"ctr", "version"}},
		// Systemd as a user's instance does without being PID 1 and without control of
		// cgroups. With /run as its runtime directory its socket lies where the system's
		// does, so that systemctl and other clients find it.
		{name: "systemd", command: "env XDG_RUNTIME_DIR=/run " + systemdProgram + " --user --unit=lab.target --log-target=console",
			ready: []string{"systemctl", "is-system-running", "--wait"}},
		{name: "kubelet", unit: true},
	}
	for _, s := range services {
		if s.name == name {
			return s, nil
		}
	}
	return service{}, fmt.Errorf("there is no service %q: containerd, systemd and kubelet are", name)
}

// Service starts, stops or restarts containerd, systemd or the kubelet, which
// systemd runs. Containers go on without any of them. Starting what runs and stopping what does not is fine.
func (n Node) Service(ctx context.Context, name, action string) error {
	s, err := n.service(name)
	if err != nil {
		return err
	}
	switch action {
	case "start":
		err = n.start(ctx, s)
	case "stop":
		err = n.stop(ctx, s)
	case "restart":
		if err = n.stop(ctx, s); err == nil {
			err = n.start(ctx, s)
		}
	default:
		return fmt.Errorf("there is no action %q: start, stop and restart are", action)
	}
	if err != nil {
		return fmt.Errorf("%s: %s of %s: %w", n.Name, action, name, err)
	}
	return nil
}

// Log returns the end of a service's log.
func (n Node) Log(service string) string {
	return tail.File(n.path("root/var/log", service+".log"))
}

func (n Node) start(ctx context.Context, s service) error {
	if s.unit {
		return n.startUnit(ctx, s)
	}
	if n.runs(ctx, s) == nil {
		return nil
	}
	// The shell ends at once, so that the node's PID 1 inherits the service.
	script := fmt.Sprintf("setsid %s >>/var/log/%s.log 2>&1 </dev/null & echo $! >/run/%s.pid", s.command, s.name, s.name)
	if _, err := n.Exec(ctx, "sh", "-c", script); err != nil {
		return err
	}
	if s.ready == nil {
		return nil
	}
	err := wait.For(ctx, serviceTimeout, func() error {
		_, err := n.Exec(ctx, s.ready...)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w; the end of its log:\n%s", err, n.Log(s.name))
	}
	return nil
}

func (n Node) startUnit(ctx context.Context, s service) error {
	if err := n.Service(ctx, "systemd", "start"); err != nil {
		return err
	}
	_, err := n.Exec(ctx, "systemctl", "start", s.name)
	return err
}

func (n Node) stop(ctx context.Context, s service) error {
	if s.unit {
		_, err := n.Exec(ctx, "systemctl", "stop", s.name)
		return err
	}
	// The condition is that the process has ended; asking again does no harm.
	return wait.For(ctx, serviceTimeout, func() error {
		if err := n.runs(ctx, s); err != nil {
			return nil
		}
		if _, err := n.Exec(ctx, "sh", "-c", "kill $(cat /run/"+s.name+".pid)"); err != nil {
			return err
		}
		return errors.New("it still runs")
	})
}

// runs returns nil if the process that was started last is the service.
func (n Node) runs(ctx context.Context, s service) error {
	out, err := n.Exec(ctx, "sh", "-c", "cat /proc/$(cat /run/"+s.name+".pid)/comm")
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(out); got != s.name {
		return fmt.Errorf("the process is %q: %w", got, os.ErrProcessDone)
	}
	return nil
}
