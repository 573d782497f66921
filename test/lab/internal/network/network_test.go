package network

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/wait"
)

// needNamespaces skips the test where none can be made under a name.
func needNamespaces(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces with names need root")
	}
	probe := Namespace("labnettest-probe")
	if err := errors.Join(probe.Create(), probe.Delete()); err != nil {
		t.Skip("cannot make network namespaces:", err)
	}
}

func machineLinks(t *testing.T) []string {
	t.Helper()
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, link := range links {
		addrs, err := link.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		line := link.Name
		for _, addr := range addrs {
			line += " " + addr.String()
		}
		lines = append(lines, line)
	}
	return lines
}

func TestNetworkConnectsMachinesAndNothingElse(t *testing.T) {
	needNamespaces(t)
	before := machineLinks(t)
	n := Network{Prefix: "labnettest", Nodes: []string{"node1", "node2"}}
	t.Cleanup(func() {
		namespaces, err := n.Leftovers()
		if err != nil {
			t.Error(err)
		}
		for _, ns := range namespaces {
			if err := ns.Delete(); err != nil {
				t.Error(err)
			}
		}
	})
	if err := n.Create(); err != nil {
		t.Fatal(err)
	}
	if got := machineLinks(t); !slices.Equal(got, before) {
		t.Errorf("the machine's own links are %v, want %v as before", got, before)
	}
	if err := n.Create(); err == nil {
		t.Error("a network was made over an existing one")
	}

	var listener net.Listener
	err := n.Node("node2").Do(func() (err error) {
		listener, err = net.Listen("tcp", NodeAddress(2)+":0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, from := range []Namespace{n.Node("node1"), n.ControlPlane(), n.Switch()} {
		conn, err := from.Dial(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Errorf("from %s: %v", from, err)
			continue
		}
		conn.Close()
	}

	if err := n.Route("10.244.1.0/24", NodeAddress(2)); err != nil {
		t.Fatal(err)
	}
	out, err := n.ControlPlane().Command(t.Context(), "ip", "route", "get", "10.244.1.9").Output()
	if err != nil || !strings.Contains(string(out), "via "+NodeAddress(2)) {
		t.Errorf("the way to a pod is %s; %v", out, err)
	}
}

func TestKillEndsOnlyWhatIsInside(t *testing.T) {
	needNamespaces(t)
	ns := Namespace("labnettest-cp")
	if err := ns.Create(); err != nil {
		t.Fatal(err)
	}
	defer ns.Delete()
	inside, outside := ns.Command(t.Context(), "sleep", "60"), exec.CommandContext(t.Context(), "sleep", "60")
	for _, cmd := range []*exec.Cmd{inside, outside} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	err := wait.For(t.Context(), 10*time.Second, func() error {
		if pids, err := ns.Processes(); err != nil || !slices.Equal(pids, []int{inside.Process.Pid}) {
			return errors.Join(errors.New("it is not inside yet"), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Kill(); err == nil {
		t.Error("Kill says that none was inside")
	}
	_ = inside.Wait() // it was killed
	if err := ns.Kill(); err != nil {
		t.Error(err)
	}
	if err := outside.Process.Signal(os.Interrupt); err != nil {
		t.Error("the process outside has ended:", err)
	}
	_ = outside.Wait() // it was interrupted
}

func TestDeletionOfNothingIsFine(t *testing.T) {
	if err := Namespace("labnettest-none").Delete(); err != nil {
		t.Error(err)
	}
}
