package main

import "testing"

func TestControllerOf(t *testing.T) {
	for dir, want := range map[string]string{
		"/sys/fs/cgroup/memory/a/nd-node1":    "memory",
		"/sys/fs/cgroup/cpu,cpuacct/nd-node1": "cpu,cpuacct",
		"/sys/fs/cgroup":                      "",
		"/tmp/memory/nd-node1":                "",
	} {
		if got, err := controllerOf(dir); got != want || (err == nil) != (want != "") {
			t.Errorf("controllerOf(%q) = %q, %v, want %q", dir, got, err, want)
		}
	}
}

func TestUnknownCommand(t *testing.T) {
	for _, args := range [][]string{nil, {"reboot"}, {"exec", "--"}} {
		if err := run(args); err == nil {
			t.Errorf("no error for %q", args)
		}
	}
}
