package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/scale"
)

// sample is one run of a command.
type sample struct {
	wall, cpu float64 // seconds
	memory    float64 // MiB
	server    cost
}

// cost is what a run cost the control plane.
type cost struct {
	cpu               float64 // seconds, of kube-apiserver and etcd together
	apiPeak, etcdPeak float64 // MiB
}

// command is a program that is measured against others.
type command struct {
	name string // as the page calls it
	args []string
	out  string // file for its stdout
}

// inTurn runs the commands one after the other, again and again, so that what disturbs
// the machine for a while disturbs all of them. The first round warms up and does not
// count.
func inTurn(runs int, server scale.Server, commands []command) ([][]sample, error) {
	measured := make([][]sample, len(commands))
	for round := range runs + 1 {
		for i, c := range commands {
			s, err := measure(server, c)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				measured[i] = append(measured[i], s)
			}
		}
	}
	return measured, nil
}

// measure runs a command. Exit code 1 of check means findings, which is no failure.
func measure(server scale.Server, c command) (sample, error) {
	out, err := os.OpenFile(c.out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return sample{}, err
	}
	defer out.Close()
	bill, err := open(server)
	if err != nil {
		return sample{}, err
	}
	cmd := exec.Command(c.args[0], c.args[1:]...)
	var errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &errOut // a file: nothing of it passes through this process
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	done := make(chan struct{})
	peak := make(chan float64)
	go func() { peak <- watchPeak(cmd.Process.Pid, done) }()
	err = cmd.Wait()
	wall := time.Since(begin)
	close(done)
	memory := <-peak
	if code := cmd.ProcessState.ExitCode(); code == 2 || code < 0 {
		return sample{}, fmt.Errorf("%s: %w: %s", strings.Join(c.args, " "), err, &errOut)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	paid, err := bill.close()
	return sample{wall.Seconds(), cpu.Seconds(), memory, paid}, err
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
		if mib, err := highWater(pid); err == nil {
			peak = max(peak, mib)
		}
	}
}

// highWater returns the most memory that a process held so far, in MiB.
func highWater(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kib float64
	if _, err := fmt.Sscan(after, &kib); err != nil {
		return 0, fmt.Errorf("/proc/%d/status has no VmHWM: %w", pid, err)
	}
	return kib / 1024, nil
}

// bill is what a control plane had used when it was opened.
type bill struct {
	server scale.Server
	cpu    float64
}

// open also makes the kernel forget the control plane's earlier peaks.
// Source: proc_pid_clear_refs(5).
func open(server scale.Server) (bill, error) {
	for _, pid := range []int{server.API, server.Etcd} {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
			return bill{}, err
		}
	}
	cpu, err := used(server)
	return bill{server, cpu}, err
}

func (b bill) close() (cost, error) {
	cpu, err1 := used(b.server)
	api, err2 := highWater(b.server.API)
	etcd, err3 := highWater(b.server.Etcd)
	return cost{cpu - b.cpu, api, etcd}, errors.Join(err1, err2, err3)
}

// used returns the CPU seconds that a control plane has used so far.
func used(server scale.Server) (float64, error) {
	api, err1 := ticks(server.API)
	etcd, err2 := ticks(server.Etcd)
	return float64(api+etcd) / ticksPerSecond, errors.Join(err1, err2)
}

// ticksPerSecond is USER_HZ, which Linux fixed for what it shows of processes.
const ticksPerSecond = 100

// ticks returns utime and stime of a process. Source: proc_pid_stat(5).
func ticks(pid int) (int, error) {
	file := fmt.Sprintf("/proc/%d/stat", pid)
	stat, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	// The second field is a name in brackets, which may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s is cut off", file)
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return user + system, errors.Join(err1, err2)
}

func median(samples []sample, of func(sample) float64) float64 {
	var v []float64
	for _, s := range samples {
		v = append(v, of(s))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func wall(s sample) float64   { return s.wall }
func cpu(s sample) float64    { return s.cpu }
func memory(s sample) float64 { return s.memory }
