package agent

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ownNet is the folder net of proc for the thread of a test.
const ownNet = "/proc/thread-self/net"

// lacks ends a test for which the machine lacks something: CI, where nobody reads of a skipped
// test, must have it, and fails.
func lacks(t testing.TB, format string, what ...any) {
	t.Helper()
	said := "needs " + fmt.Sprintf(format, what...)
	if os.Getenv("CI") != "" {
		t.Fatal(said + "; CI is set, so that it is not skipped")
	}
	t.Skip(said)
}

// inNamespace gives the test a network namespace of its own, which ends with it, and ends it
// where the machine has none to give or lacks a program.
func inNamespace(t testing.TB, programs ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		lacks(t, "root, for a network namespace")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			lacks(t, "%s: %v", program, err)
		}
	}
	runtime.LockOSThread() // for ever: the thread ends with the test, and the namespace with it
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		lacks(t, "a network namespace: %v", err)
	}
	for _, program := range programs {
		list := []string{"list", "tables"}
		if command, is := strings.CutSuffix(program, "-restore"); is {
			program, list = command, []string{"-t", "nat", "-S"}
		} else if program != "nft" {
			continue
		}
		if out, err := exec.Command(program, list...).CombinedOutput(); err != nil {
			lacks(t, "a kernel for %s: %v: %s", program, err, out)
		}
	}
}

// run calls a program in the namespace of the test.
func run(t *testing.T, stdin, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

func testdata(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "netfilter", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// look reads the namespace of the test, where nothing may hinder that.
func look(t *testing.T) map[string]string {
	t.Helper()
	files, gaps := netfilterFiles(ownNet)
	if len(gaps) > 0 {
		t.Fatalf("gaps: %v", gaps)
	}
	return files
}

// without returns a text without one of its lines.
func without(text, line string) string {
	return strings.Replace(text, line+"\n", "", 1)
}
