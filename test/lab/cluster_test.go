package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/cluster"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/wait"
)

// labName is not the default, so that a lab that somebody works with is left
// alone.
const labName = "labtest"

// needCluster skips the test where no cluster can run. It builds what clusters
// need, and cleans up after an earlier run and after this one.
func needCluster(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	if missing := cluster.Requirements(); len(missing) > 0 {
		t.Skipf("this machine cannot run a cluster: it lacks %s", strings.Join(missing, "; "))
	}
	lab(t, "build", "--cluster")
	lab(t, "down", "--name", labName)
	t.Cleanup(func() {
		// The test's context has ended.
		if err := cluster.Down(context.Background(), cluster.Options{Name: labName}); err != nil {
			t.Error(err)
		}
	})
}

// lab runs the lab's command, which must succeed, and returns its stdout.
func lab(t *testing.T, args ...string) string {
	t.Helper()
	out, err := labOutput(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func labOutput(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := labCommand(t, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("lab %s: %w\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return string(out), err
}

// TestCluster runs one lab through its life and looks at the machine before
// and after.
func TestCluster(t *testing.T) {
	needCluster(t)
	if err := cluster.Down(t.Context(), cluster.Options{Name: labName}); err != nil { // what a run that was killed left
		t.Fatal(err)
	}
	first := takeStock(t)
	before := takeStock(t)

	start := time.Now()
	said := lab(t, "up", "--name", labName, "--nodes", "2")
	t.Logf("up took %s", time.Since(start).Round(100*time.Millisecond))
	running, err := cluster.Open(cluster.Options{Name: labName})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := said, "ready "+running.Kubeconfig()+"\n"; got != want {
		t.Errorf("lab up said %q, want %q", got, want)
	}
	for _, tc := range []struct {
		name string
		test func(*testing.T, *cluster.Cluster)
	}{
		{"nodes are Ready", nodesAreReady},
		{"up again", upAgain},
		{"commands", commandsReachTheLab},
		{"exec", execRunsOnNode},
		{"pods", podsReachEverything},
		{"images", imagesAreLoaded},
		{"services", servicesRestart},
		{"sysctls", kernelIsNotTheNodes},
		{"dead node", deadNodeIsNoticed},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, running) })
	}

	start = time.Now()
	lab(t, "down", "--name", labName)
	t.Logf("down took %s", time.Since(start).Round(100*time.Millisecond))
	nothingIsLeft(t, first, before)
	if _, err := cluster.Open(cluster.Options{Name: labName}); err == nil {
		t.Error("a lab that was ended can be opened")
	}
	lab(t, "down", "--name", labName) // of nothing is fine
}

func nothingIsLeft(t *testing.T, first, before stock) {
	t.Helper()
	for _, line := range differences(restless(first, before), before, takeStock(t)) {
		t.Error("the machine has changed:", line)
	}
}

func nodesAreReady(t *testing.T, l *cluster.Cluster) {
	out, err := l.Kubectl(t.Context(), "", "get", "nodes", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status};{end}`)
	if got, want := out, "node1 True;node2 True;"; err != nil || got != want {
		t.Errorf("nodes are %q, want %q; %v", got, want, err)
	}
	if status := lab(t, "status", "--name", labName); !strings.Contains(status, "node2 10.77.0.12 runs") {
		t.Errorf("lab status lacks node2:\n%s", status)
	}
}

func upAgain(t *testing.T, l *cluster.Cluster) {
	again, err := cluster.Up(t.Context(), cluster.Options{Name: labName, Module: module})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := again.Kubeconfig(), l.Kubeconfig(); got != want {
		t.Errorf("kubeconfig is %s, want %s", got, want)
	}
}

func commandsReachTheLab(t *testing.T, l *cluster.Cluster) {
	if got, want := lab(t, "kubectl", "--name="+labName, "-n", "kube-system", "get", "service", "kube-dns", "-o", "name"), "service/kube-dns\n"; got != want {
		t.Errorf("lab kubectl printed %q, want %q", got, want)
	}
	if got, want := lab(t, "run", "--name", labName, "--", "sh", "-c", "echo $KUBECONFIG"), l.Kubeconfig()+"\n"; got != want {
		t.Errorf("KUBECONFIG is %q, want %q", got, want)
	}
	if got, want := lab(t, "exec", "--name", labName, "node2", "--", "hostname"), "node2\n"; got != want {
		t.Errorf("lab exec printed %q, want %q", got, want)
	}
	_, err := labOutput(t, "exec", "--name", labName, "node1", "sh", "-c", "exit 7")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("lab exec ended with %v, want the command's exit status", err)
	}
	cmd := labCommand(t, "exec", "--name", labName, "node1", "--", "cat")
	cmd.Stdin = strings.NewReader("by stdin")
	if out, err := cmd.Output(); err != nil || string(out) != "by stdin" {
		t.Errorf("lab exec passed %q; %v", out, err)
	}
}

func execRunsOnNode(t *testing.T, l *cluster.Cluster) {
	out, err := l.Exec(t.Context(), "node1", "sh", "-c", "echo out; echo err >&2; cat /proc/1/comm; tail -n 1 /proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "out\nerr\nlabnode\n") {
		t.Errorf("got %q, want stdout, stderr and the node's PID 1", out)
	}
	if _, err := l.Exec(t.Context(), "node3", "true"); err == nil || !strings.Contains(err.Error(), "node1, node2") {
		t.Errorf("error of an unknown node is %v, want the names of those that exist", err)
	}
	if _, err := l.Exec(t.Context(), "node1", "sh", "-c", "echo reason; false"); err == nil || !strings.Contains(err.Error(), "reason") {
		t.Errorf("error is %v, want what the command printed", err)
	}
	if out, err := l.Exec(t.Context(), cluster.ControlPlane, "ip", "route", "get", "10.244.1.1"); err != nil || !strings.Contains(out, "via 10.77.0.1") {
		t.Errorf("no route to the pods: %s%v", out, err)
	}

	// A command must not survive whoever waits for it.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := l.Exec(ctx, "node1", "sleep", "4242"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v, want that of the context", err)
	}
	err = wait.For(t.Context(), 10*time.Second, func() error {
		if out, err := l.Exec(t.Context(), "node1", "sh", "-c", `grep -l 424[2] /proc/[0-9]*/cmdline 2>/dev/null; true`); err != nil || out != "" {
			return fmt.Errorf("it runs: %s%w", out, err)
		}
		return nil
	})
	if err != nil {
		t.Error("a command whose context has ended:", err)
	}
}

const podsManifest = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: probe}
spec:
  selector: {matchLabels: {app: probe}}
  template:
    metadata: {labels: {app: probe}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: probe
        image: docker.io/library/busybox:lab
        command: [labtool, serve, "8080", hello]
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: probe}
spec:
  selector: {app: probe}
  ports: [{port: 80, targetPort: 8080}]
`

// podsReachEverything asks from a pod on each node for a name of the cluster,
// one of the world, and a Service whose pods are on both nodes.
func podsReachEverything(t *testing.T, l *cluster.Cluster) {
	if _, err := l.Kubectl(t.Context(), podsManifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Kubectl(t.Context(), "", "rollout", "status", "daemonset/probe", "--timeout=60s"); err != nil {
		t.Fatal(err)
	}
	out, err := l.Kubectl(t.Context(), "", "get", "pods", "-l", "app=probe", "-o", "jsonpath={.items[*].metadata.name}")
	if err != nil || len(strings.Fields(out)) != 2 {
		t.Fatalf("pods are %q, want one on each node; %v", out, err)
	}
	for pod := range strings.FieldsSeq(out) {
		for command, want := range map[string]string{
			"labtool dns kubernetes.default": "10.96.0.1\n",
			"labtool dns example.test":       "192.0.2.7\n",
			"labtool get http://probe":       "hello ",
		} {
			// kube-proxy needs a moment for a new Service.
			err := wait.For(t.Context(), 30*time.Second, func() error {
				args := append([]string{"exec", pod, "--"}, strings.Fields(command)...)
				got, err := l.Kubectl(t.Context(), "", args...)
				if err == nil && !strings.HasPrefix(got, want) {
					err = fmt.Errorf("got %q, want %q", got, want)
				}
				return err
			})
			if err != nil {
				t.Errorf("%s: %s: %v", pod, command, err)
			}
		}
	}
}

func servicesRestart(t *testing.T, l *cluster.Cluster) {
	restarts := func() string {
		out, err := l.Kubectl(t.Context(), "", "get", "pods", "-A", "-o", `jsonpath={.items[*].status.containerStatuses[*].restartCount}`)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	before := restarts()
	for _, service := range []string{"containerd", "kubelet"} {
		pid := func() string {
			number := "cat /run/" + service + ".pid"
			if service == "kubelet" { // systemd runs it
				number = "systemctl show --property=MainPID --value " + service
			}
			out, err := l.Exec(t.Context(), "node2", "sh", "-c", "pid=$("+number+"); cat /proc/$pid/comm; echo $pid")
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		old := pid()
		for _, action := range []string{"start", "restart"} { // the first changes nothing
			if err := l.Service(t.Context(), "node2", service, action); err != nil {
				t.Fatal(err)
			}
			if got := pid(); (got == old) != (action == "start") {
				t.Errorf("after %s of %s: pid and name %q, before %q", action, service, got, old)
			}
		}
		for range 2 { // the second finds nothing to stop
			if err := l.Service(t.Context(), "node2", service, "stop"); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Service(t.Context(), "node2", service, "start"); err != nil {
			t.Fatal(err)
		}
	}
	if got := restarts(); got != before {
		t.Errorf("restarts of containers are %s, want %s as before", got, before)
	}
	if err := l.Service(t.Context(), "node1", "sshd", "stop"); err == nil {
		t.Error("no error for an unknown service")
	}
	if err := l.Service(t.Context(), "node1", "kubelet", "dance"); err == nil {
		t.Error("no error for an unknown action")
	}
}

// kernelIsNotTheNodes tries to change what belongs to the machine.
func kernelIsNotTheNodes(t *testing.T, l *cluster.Cluster) {
	const name = "/proc/sys/kernel/panic"
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Exec(t.Context(), "node1", "sh", "-c", "echo 77 > "+name); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(name); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the machine's %s is %q, want %q; %v", name, after, before, err)
	}
}

func deadNodeIsNoticed(t *testing.T, l *cluster.Cluster) {
	killNode(t, "node1")
	if _, err := cluster.Up(t.Context(), cluster.Options{Name: labName, Module: module}); err == nil || !strings.Contains(err.Error(), "node1 does not run") {
		t.Errorf("up with a dead node: %v, want that node1 does not run", err)
	}
	if _, err := l.Exec(t.Context(), "node1", "true"); err == nil {
		t.Error("a command ran on a dead node")
	}
}

func labDir(t *testing.T, elem ...string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{cache, "netdoctor-lab", "labs", labName}, elem...)...)
}

func killNode(t *testing.T, node string) {
	t.Helper()
	content, err := os.ReadFile(labDir(t, node, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitGone(t, map[string]int{"PID 1 of " + node: pid})
}

// TestLeavesNothing kills the command in the middle of a start, so that "lab
// down" finds half a lab. TestCluster looks after a whole one.
func TestLeavesNothing(t *testing.T) {
	needCluster(t)
	first := takeStock(t)
	before := takeStock(t)
	for _, tc := range []struct {
		name   string
		exists string // the file at whose sight the command is killed
	}{
		{"at the record", labDir(t, "lab.json")},
		{"at the network", "/run/netns/" + labName + "-node1"},
		{"at the control plane", labDir(t, "plane/logs/kube-apiserver.log")},
		{"at the node", labDir(t, "node1/cgroups")},
		{"at the kubelet", labDir(t, "node1/root/var/log/kubelet.log")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			up := labCommand(t, "up", "--name", labName, "--nodes", "1")
			if err := up.Start(); err != nil {
				t.Fatal(err)
			}
			killWhen(t, up, tc.exists)
			lab(t, "down", "--name", labName)
			nothingIsLeft(t, first, before)
		})
	}
}

func killWhen(t *testing.T, cmd *exec.Cmd, file string) {
	t.Helper()
	err := wait.For(t.Context(), time.Minute, func() error {
		_, err := os.Stat(file)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed
}

// TestUpAfterKilledUp starts a lab over the remains of one.
func TestUpAfterKilledUp(t *testing.T) {
	needCluster(t)
	up := labCommand(t, "up", "--name", labName, "--nodes", "2")
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	killWhen(t, up, labDir(t, "node2/pid"))
	if out, err := labOutput(t, "exec", "--name", labName, "node1", "true"); err == nil || !strings.Contains(err.Error(), "lab down") {
		t.Errorf("exec in a lab that died half way: %q, %v, want a hint at lab down", out, err)
	}
	lab(t, "up", "--name", labName, "--nodes", "1")
	if out := lab(t, "kubectl", "--name", labName, "get", "nodes", "-o", "name"); out != "node/node1\n" {
		t.Errorf("nodes are %q, want only those of the second start", out)
	}
}

// TestUpTellsWhatDied kills etcd while the lab starts.
func TestUpTellsWhatDied(t *testing.T) {
	needCluster(t)
	up := labCommand(t, "up", "--name", labName, "--nodes", "1")
	var stderr bytes.Buffer
	up.Stderr = &stderr
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	err := wait.For(t.Context(), time.Minute, func() error {
		for _, pid := range pidsOf(t) {
			if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && filepath.Base(exe) == "etcd" {
				return syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		return errors.New("no etcd runs")
	})
	if err != nil {
		t.Error(err)
	}
	wantFailure(t, up.Wait(), exitFailed, stderr.String(), "etcd ended early (signal: killed)")
}

// TestUpLeavesOthersAlone finds a namespace that is not the lab's.
func TestUpLeavesOthersAlone(t *testing.T) {
	needCluster(t)
	const name = labName + "-cp"
	if out, err := exec.CommandContext(t.Context(), "ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Skipf("ip netns add: %v %s", err, out)
	}
	defer exec.Command("ip", "netns", "del", name).Run()
	if out, err := labOutput(t, "up", "--name", labName); err == nil || !strings.Contains(err.Error(), "belong to somebody else") {
		t.Errorf("up said %q, %v, want that the namespace is taken", out, err)
	}
	lab(t, "down", "--name", labName)
	if _, err := os.Stat("/run/netns/" + name); err != nil {
		t.Error("down has removed it:", err)
	}
}
