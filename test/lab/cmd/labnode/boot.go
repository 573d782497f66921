package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// readyFD is the pipe on which the node's PID 1 says that it is ready.
const readyFD = 3

// boot starts this program again as PID 1 of new namespaces and ends when that
// one is ready.
func boot(node spec, args []string) error {
	if err := joinCgroups(node.cgroups); err != nil {
		return fmt.Errorf("joining the cgroups: %w", err)
	}
	ready, readyWriter, err := os.Pipe()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, append([]string{"init"}, args...)...)
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{readyWriter}
	cmd.SysProcAttr = &unix.SysProcAttr{
		Setsid: true,
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
			unix.CLONE_NEWPID | unix.CLONE_NEWCGROUP,
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting PID 1: %w", err)
	}
	readyWriter.Close()
	if said, err := io.ReadAll(ready); err != nil || string(said) != "ready" {
		_ = cmd.Wait() // it has said why
		return errors.New("PID 1 ended early")
	}
	fmt.Println(cmd.Process.Pid)
	return nil
}

// initialize is PID 1 of the node: it makes the filesystem and then takes care
// of orphans until it is told to end, which ends every process of the node.
func initialize(node spec) error {
	for _, step := range []struct {
		name string
		do   func(spec) error
	}{
		{"naming the node", func(s spec) error { return unix.Sethostname([]byte(s.name)) }},
		{"mounting", mountAll},
		{"mounting cgroups", mountCgroups},
		{"hiding sysctls of the kernel", hideSysctls},
		{"changing the root", changeRoot},
	} {
		if err := step.do(node); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD, unix.SIGTERM)
	pipe := os.NewFile(readyFD, "ready")
	if _, err := pipe.WriteString("ready"); err != nil {
		return err
	}
	pipe.Close()
	for s := range children {
		if s == unix.SIGTERM {
			return nil
		}
		reap()
	}
	return nil
}

// reap waits for every child that has ended: one signal may stand for many.
func reap() {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if pid <= 0 && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func mountAll(node spec) error {
	// Nothing that follows may reach the machine's own mounts.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	upper, work := filepath.Join(filepath.Dir(node.root), "usr", "upper"), filepath.Join(filepath.Dir(node.root), "usr", "work")
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		// A root must be a mount point.
		{node.root, "", "", unix.MS_BIND, ""},
		// Writable, because containers ask for directories such as
		// /usr/lib/modules, which may not exist.
		{"overlay", "usr", "overlay", 0, "lowerdir=/usr,upperdir=" + upper + ",workdir=" + work},
		{node.bin, "lab/bin", "", unix.MS_BIND, ""},
		{node.images, "lab/images", "", unix.MS_BIND, ""},
		{"/dev", "dev", "", unix.MS_BIND | unix.MS_REC, ""},
		{"proc", "proc", "proc", 0, ""},
		{"sysfs", "sys", "sysfs", 0, ""},
		{"run", "run", "tmpfs", 0, "mode=755"},
		{"cgroup", "sys/fs/cgroup", "tmpfs", 0, "mode=755"},
	} {
		if err := unix.Mount(m.source, filepath.Join(node.root, m.target), m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("/%s: %w", m.target, err)
		}
	}
	// Systemd, and whoever asks for it, takes this for the sign that it is at work (sd_booted(3)).
	return os.MkdirAll(filepath.Join(node.root, "run/systemd/system"), 0o755)
}

// mountCgroups shows the node the hierarchies that it has cgroups in. In its
// cgroup namespace they begin at these cgroups.
func mountCgroups(node spec) error {
	list, err := os.ReadFile(node.cgroups)
	if err != nil {
		return err
	}
	for _, dir := range strings.Fields(string(list)) {
		controller, err := controllerOf(dir)
		if err != nil {
			return err
		}
		target := filepath.Join(node.root, "sys/fs/cgroup", controller)
		if err := os.Mkdir(target, 0o755); err != nil {
			return err
		}
		options := controller
		if controller == "systemd" {
			options = "none,name=systemd" // a hierarchy without a controller
		}
		if err := unix.Mount("cgroup", target, "cgroup", 0, options); err != nil {
			return fmt.Errorf("%s: %w", controller, err)
		}
	}
	return nil
}

// controllerOf returns the first directory below /sys/fs/cgroup, where every
// version 1 hierarchy is mounted under the name of its controllers.
func controllerOf(dir string) (string, error) {
	below, found := strings.CutPrefix(dir, "/sys/fs/cgroup/")
	controller, _, _ := strings.Cut(below, "/")
	if !found || controller == "" {
		return "", fmt.Errorf("%s is not below /sys/fs/cgroup", dir)
	}
	return controller, nil
}

// hideSysctls puts files over the sysctls that are the whole kernel's and that
// a kubelet sets or wants set, so that the machine keeps its own values.
func hideSysctls(node spec) error {
	dir := filepath.Join(node.root, "run/sysctl")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"vm/overcommit_memory":      "1",
		"vm/panic_on_oom":           "0",
		"kernel/panic":              "10",
		"kernel/panic_on_oops":      "1",
		"kernel/keys/root_maxkeys":  "1000000",
		"kernel/keys/root_maxbytes": "25000000",
	} {
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "."))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(file, filepath.Join(node.root, "proc/sys", name), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func changeRoot(node spec) error {
	old := filepath.Join(node.root, "old")
	if err := os.MkdirAll(old, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(node.root, old); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/old", unix.MNT_DETACH); err != nil {
		return err
	}
	if err := os.Remove("/old"); err != nil {
		return err
	}
	// Volumes with mount propagation need a shared root.
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
}
