package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/image"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/node"
)

// Requirements returns what this machine lacks to run a lab, in words that end
// the sentence "it lacks ...". It is empty where a lab can run.
func Requirements() []string {
	if runtime.GOOS != "linux" {
		return []string{"Linux"}
	}
	if os.Geteuid() != 0 {
		return []string{"root"} // and who is not root cannot tell the rest
	}
	var missing []string
	if err := namespaces(); err != nil {
		missing = append(missing, fmt.Sprintf("the right to make namespaces (%v)", err))
	}
	if lacking := node.MissingControllers(); len(lacking) > 0 {
		missing = append(missing, "cgroups of version 1 for "+strings.Join(lacking, ", "))
	}
	for _, feature := range []struct{ file, name string }{
		{"/proc/sys/net/bridge/bridge-nf-call-iptables", "the kernel's br_netfilter"},
		{"/proc/sys/net/netfilter/nf_conntrack_max", "the kernel's nf_conntrack"},
	} {
		if _, err := os.Stat(feature.file); err != nil {
			missing = append(missing, feature.name)
		}
	}
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil || !slices.Contains(strings.Fields(string(filesystems)), "overlay") {
		missing = append(missing, "the kernel's overlay filesystem")
	}
	return append(missing, programs()...)
}

// programs returns what must be installed.
func programs() []string {
	var packages []string
	for _, p := range []struct{ program, pack string }{
		{"go", "a Go toolchain"}, {"gcc", "gcc"}, {"ldd", "libc-bin"}, {"nsenter", "util-linux"}, {"systemctl", "systemd"},
	} {
		if _, err := exec.LookPath(p.program); err != nil {
			packages = append(packages, p.pack)
		}
	}
	headers := []string{"/usr/include/seccomp.h", "/usr/include/x86_64-linux-gnu/seccomp.h"}
	if !slices.ContainsFunc(headers, func(f string) bool { _, err := os.Stat(f); return err == nil }) {
		packages = append(packages, "libseccomp-dev")
	}
	if _, err := exec.LookPath("pkg-config"); err != nil {
		packages = append(packages, "pkg-config")
	}
	packages = append(packages, image.Missing()...)
	if len(packages) == 0 {
		return nil
	}
	return []string{"the packages " + strings.Join(packages, " ")}
}

// namespaces makes the kinds of namespaces that a lab consists of.
func namespaces() error {
	cmd := exec.Command("true")
	cmd.SysProcAttr = &unix.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID |
			unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP,
	}
	return cmd.Run()
}
