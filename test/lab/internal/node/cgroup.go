package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/wait"
)

const cgroupRoot = "/sys/fs/cgroup"

// controllers are what containerd, runc and the kubelet use.
var controllers = []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"}

// MissingControllers returns the cgroup controllers that a node needs and that
// this process has no version 1 hierarchy of.
func MissingControllers() []string {
	hierarchies, err := ownCgroups()
	if err != nil {
		return controllers
	}
	var missing []string
	for _, c := range controllers {
		if !slices.ContainsFunc(hierarchies, func(h hierarchy) bool { return slices.Contains(h.controllers, c) }) {
			missing = append(missing, c)
		}
	}
	return missing
}

// systemd is the hierarchy that has no controller. A node does without it, but then
// containerd, which looks for every hierarchy that a process is in, hears nothing of
// containers that the kernel kills for want of memory, and none is ever "OOMKilled".
const systemd = "name=systemd"

// hierarchy is a tree of cgroups and this process's place in it.
type hierarchy struct {
	controllers []string
	dir         string
}

// ownCgroups returns the version 1 hierarchies that have one of the controllers, and
// systemd's where there is one.
func ownCgroups() ([]hierarchy, error) {
	content, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	var found []hierarchy
	for line := range strings.Lines(string(content)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		list := strings.Split(fields[1], ",")
		if fields[1] != systemd && !slices.ContainsFunc(list, func(c string) bool { return slices.Contains(controllers, c) }) {
			continue // of no use here, or version 2
		}
		dir := filepath.Join(cgroupRoot, strings.TrimPrefix(fields[1], "name="), fields[2])
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
			found = append(found, hierarchy{list, dir})
		}
	}
	return found, nil
}

// createCgroups makes one cgroup in each hierarchy, below the one that this
// process is in, because it may have no right to make others. The file list
// gets their names first, so that they are found whatever happens.
func createCgroups(list, name string) error {
	hierarchies, err := ownCgroups()
	if err != nil {
		return err
	}
	var dirs []string
	for _, h := range hierarchies {
		dirs = append(dirs, filepath.Join(h.dir, name))
	}
	if err := os.WriteFile(list, []byte(strings.Join(dirs, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	for i, h := range hierarchies {
		if err := os.Mkdir(dirs[i], 0o755); err != nil {
			return err
		}
		if !slices.Contains(h.controllers, "cpuset") {
			continue
		}
		// A new cpuset is empty, and no process can be in one that is.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(h.dir, file))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dirs[i], file), value, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeCgroups removes the cgroups in the file list with all below them and
// ends whatever process is still in one.
func removeCgroups(ctx context.Context, list string) error {
	content, err := os.ReadFile(list)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// Cgroups of killed processes stay busy for a moment.
	return wait.For(ctx, 20*time.Second, func() error {
		var errs []error
		for dir := range strings.FieldsSeq(string(content)) {
			errs = append(errs, removeCgroup(dir))
		}
		return errors.Join(errs...)
	})
}

func removeCgroup(top string) error {
	var dirs []string
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, dir := range slices.Backward(dirs) { // children come after their parents
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			killAll(dir)
			return err
		}
	}
	return nil
}

// killAll ends the processes of a cgroup; whoever is in it is the lab's.
func killAll(dir string) {
	content, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return // removed meanwhile
	}
	for field := range strings.FieldsSeq(string(content)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // fails only if it has ended
		}
	}
}
