package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// stock is what a lab could leave behind on the machine, as one line for each
// thing. Things of other labs are not in it, because tests of other packages
// may run some at the same time.
type stock map[string]bool

// takeStock lists what there is of the lab, and of the machine what must not
// change at all.
func takeStock(t *testing.T) stock {
	t.Helper()
	s := stock{}
	s.addNetwork(t)
	s.addSysctls(t)
	s.addMounts(t)
	s.addNamed(t)
	s.addProcesses(t)
	for _, dir := range []string{"/etc", "/opt", "/opt/cni", "/run", "/var/lib", "/var/log", "/var/run"} {
		s.addFiles(t, dir)
	}
	return s
}

func (s stock) add(format string, args ...any) { s[fmt.Sprintf(format, args...)] = true }

// differences returns what is only in one of two stocks, except for what
// differs between the first and an earlier one anyway.
func differences(restless, before, after stock) []string {
	var diff []string
	changes := func(a, b stock, sign string) {
		for line := range a {
			if !b[line] && !restless[keyOf(line)] {
				diff = append(diff, sign+" "+line)
			}
		}
	}
	changes(before, after, "-")
	changes(after, before, "+")
	slices.Sort(diff)
	return diff
}

// restless returns the keys of lines that change while nothing is done.
func restless(a, b stock) stock {
	moving := stock{}
	for _, line := range differences(nil, a, b) {
		moving[keyOf(line[2:])] = true
	}
	return moving
}

// keyOf is what a line is about, without the value.
func keyOf(line string) string {
	key, _, _ := strings.Cut(line, " = ")
	return key
}

func (s stock) addNetwork(t *testing.T) {
	t.Helper()
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		addrs, err := link.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		s.add("link %s = %s %v", link.Name, link.Flags, addrs)
	}
	for _, command := range []string{"ip route show table all", "ip rule", "nft list ruleset", "iptables-save -t filter", "iptables-save -t nat"} {
		words := strings.Fields(command)
		out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).Output()
		if err != nil {
			continue // it cannot be asked before, nor after
		}
		for line := range strings.Lines(string(out)) {
			if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ":") { // dates and counters
				s.add("%s: %s", command, strings.TrimSpace(line))
			}
		}
	}
}

func (s stock) addSysctls(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("/proc/sys", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || isCounter(path) {
			return nil // entries of interfaces come and go
		}
		if value, err := os.ReadFile(path); err == nil {
			s.add("sysctl %s = %q", path, value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// isCounter tells sysctls that count what the machine does, or that other labs
// change as well, from settings.
func isCounter(sysctl string) bool {
	for _, name := range []string{
		"fs/dentry-state", "fs/file-nr", "fs/inode-", "fs/aio-nr", "fs/quota/",
		"fs/inotify/max_user_instances", "user/max_inotify_instances", // shared by all labs, see TestInotify
		"kernel/ns_last_pid", "kernel/pty/nr", "kernel/random/", "net/netfilter/nf_conntrack_count",
	} {
		if strings.HasPrefix(sysctl, "/proc/sys/"+name) {
			return true
		}
	}
	return false
}

func (s stock) addMounts(t *testing.T) {
	t.Helper()
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		point := fields[4]
		other := strings.HasPrefix(point, "/run/netns") && !strings.HasPrefix(point, "/run/netns/"+labName+"-")
		if !other {
			s.add("mount %s", point)
		}
	}
}

// addNamed adds cgroups, network namespaces and files with the lab's name.
func (s stock) addNamed(t *testing.T) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{"/sys/fs/cgroup", "/run/netns", filepath.Join(cache, "netdoctor-lab", "labs")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // gone meanwhile
			}
			if d.Name() == labName || strings.HasPrefix(d.Name(), labName+"-") {
				s.add("path %s", path)
				if d.IsDir() {
					return fs.SkipDir
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (s stock) addFiles(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); path != "/run/netns" && path != "/var/run/netns" { // other labs'
			s.add("path %s", path)
		}
	}
}

// addProcesses adds processes in a cgroup or network namespace of the lab, and
// those whose command line names its directory.
func (s stock) addProcesses(t *testing.T) {
	t.Helper()
	for _, pid := range pidsOf(t) {
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // empty if it has just ended
		s.add("process %d = %s", pid, bytes.ReplaceAll(command, []byte{0}, []byte{' '}))
	}
}

func pidsOf(t *testing.T) []int {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]bool{}
	namespaces, _ := filepath.Glob("/run/netns/" + labName + "-*") // the pattern is well formed
	for _, file := range namespaces {
		ours[identity(file)] = true
	}
	var pids []int
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		cgroups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil {
			continue // ended meanwhile
		}
		if bytes.Contains(command, []byte("/netdoctor-lab/labs/"+labName+"/")) ||
			bytes.Contains(cgroups, []byte("/"+labName+"-node")) || ours[identity(filepath.Join(dir, "ns/net"))] {
			pids = append(pids, pid)
		}
	}
	return pids
}

// identity tells namespaces apart; what does not exist has one that no
// namespace has.
func identity(file string) string {
	var info syscall.Stat_t
	if err := syscall.Stat(file, &info); err != nil {
		return file
	}
	return fmt.Sprintf("%d:%d", info.Dev, info.Ino)
}
