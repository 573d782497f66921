// Command bench measures check against a real API server with 100 nodes, 5,000 pods and
// 1,000 Services, in turn with kubectl get on the same server, and writes what it
// measured. Times are of whole processes, memory is their largest resident set, both as
// the operating system accounts them.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

type size struct{ nodes, pods, services int }

func main() {
	write := flag.String("write", "", "file to write the page to; stdout without it")
	runs := flag.Int("runs", 5, "counted runs of each command, after one that warms up")
	flag.Parse()
	if err := run(*write, *runs, size{nodes: 100, pods: 5000, services: 1000}); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(write string, runs int, n size) error {
	dir, err := os.MkdirTemp("", "netdoctor-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lab, err := startLab(dir)
	if err != nil {
		return err
	}
	defer lab.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	if err := fill(ctx, lab.kubeconfig, n); err != nil {
		return fmt.Errorf("filling the API server: %w", err)
	}
	commands := [][]string{
		{"bin/kubectl-netdoctor", "check", "--kubeconfig", lab.kubeconfig, "--depth", "api"},
		{"bin/kubectl-netdoctor", "check", "--kubeconfig", lab.kubeconfig},
		{lab.kubectl, "--kubeconfig", lab.kubeconfig, "get", "pods,svc,endpointslices", "-A", "-o", "json"},
	}
	measured := make([][]sample, len(commands))
	for i := range runs + 1 {
		for j, args := range commands {
			s, err := measure(args)
			if err != nil {
				return err
			}
			if i > 0 {
				measured[j] = append(measured[j], s)
			}
		}
	}
	text := page(n, runs, measured)
	if write == "" {
		fmt.Print(text)
		return nil
	}
	return os.WriteFile(write, []byte(text), 0o644)
}

// sample is one run of a command.
type sample struct {
	wall, cpu float64 // seconds
	memory    float64 // MiB
	bytes     int     // of stdout
}

func measure(args []string) (sample, error) {
	cmd := exec.Command(args[0], args[1:]...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	done := make(chan struct{})
	peak := make(chan float64)
	go func() { peak <- watchPeak(cmd.Process.Pid, done) }()
	err := cmd.Wait()
	wall := time.Since(begin)
	close(done)
	memory := <-peak
	if code := cmd.ProcessState.ExitCode(); code == 2 || code < 0 {
		return sample{}, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, &errOut)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return sample{wall.Seconds(), cpu.Seconds(), memory, out.Len()}, nil
}

// watchPeak returns the most memory that a process held, in MiB, as the kernel counts it
// for its address space. ru_maxrss would not do: a process inherits that of the one that
// started it.
func watchPeak(pid int, done <-chan struct{}) (peak float64) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return peak
		case <-tick.C:
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		_, after, _ := strings.Cut(string(status), "VmHWM:")
		var kib float64
		if _, err := fmt.Sscan(after, &kib); err == nil {
			peak = max(peak, kib/1024)
		}
	}
}

func median(samples []sample, of func(sample) float64) float64 {
	var v []float64
	for _, s := range samples {
		v = append(v, of(s))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func page(n size, runs int, measured [][]sample) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

Made by `+"`make bench`"+` (hack/bench): a real etcd and kube-apiserver of test/lab on the same machine (%d cores, %s), filled with
%d nodes, %d pods and %d Services with one EndpointSlice each. The commands run in turn, %d times after one run that warms up;
the figures are medians of whole processes. Compare the ratios, not the seconds.

| command | seconds | CPU seconds | peak MiB | bytes printed |
|---|---|---|---|---|
`, runtime.NumCPU(), runtime.GOOS+"/"+runtime.GOARCH, n.nodes, n.pods, n.services, runs)
	names := []string{"`kubectl netdoctor check --depth api`", "`kubectl netdoctor check` (logs and kubelets too; these kubelets refuse at once)", "`kubectl get pods,svc,endpointslices -A -o json`"}
	base := measured[2]
	wall := func(s sample) float64 { return s.wall }
	memory := func(s sample) float64 { return s.memory }
	for i, samples := range measured {
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.0f | %.0f |\n", names[i], median(samples, wall),
			median(samples, func(s sample) float64 { return s.cpu }), median(samples, memory), median(samples, func(s sample) float64 { return float64(s.bytes) }))
	}
	fmt.Fprintf(&b, "\nAgainst `kubectl get`, which reads three of the twelve lists and judges nothing: `check --depth api` takes %.2f times the time and"+
		" %.2f times the memory; the default `check` %.2f and %.2f times.\n",
		median(measured[0], wall)/median(base, wall), median(measured[0], memory)/median(base, memory),
		median(measured[1], wall)/median(base, wall), median(measured[1], memory)/median(base, memory))
	return b.String()
}

// lab is a running control plane.
type lab struct {
	kubeconfig, kubectl string
	stop                func()
}

func startLab(dir string) (lab, error) {
	program := filepath.Join(dir, "lab")
	if out, err := exec.Command("go", "build", "-C", "test/lab", "-o", program, ".").CombinedOutput(); err != nil {
		return lab{}, fmt.Errorf("building the lab: %w: %s", err, out)
	}
	build := exec.Command(program, "build")
	build.Stderr = os.Stderr
	bin, err := build.Output()
	if err != nil {
		return lab{}, fmt.Errorf("lab build: %w", err)
	}
	up := exec.Command(program, "up", "--state", filepath.Join(dir, "state"), "--no-controllers",
		"--apiserver-arg=--disable-admission-plugins=TaintNodesByCondition,ServiceAccount",
		"--apiserver-arg=--max-requests-inflight=800", "--apiserver-arg=--max-mutating-requests-inflight=800")
	up.Stderr = os.Stderr
	stdin, err := up.StdinPipe()
	if err != nil {
		return lab{}, err
	}
	stdout, err := up.StdoutPipe()
	if err != nil {
		return lab{}, err
	}
	if err := up.Start(); err != nil {
		return lab{}, err
	}
	stop := func() { stdin.Close(); _ = up.Wait() }
	var kubeconfig string
	if _, err := fmt.Fscanf(stdout, "ready %s\n", &kubeconfig); err != nil {
		stop()
		return lab{}, fmt.Errorf("lab up: %w", err)
	}
	return lab{kubeconfig, filepath.Join(strings.TrimSpace(string(bin)), "kubectl"), stop}, nil
}
