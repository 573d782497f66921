package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/test/scale"
)

// small measures check with and without logs against what people would type instead, on
// a cluster of the size that many have.
func small(ctx context.Context, p programs, runs int) (string, error) {
	size := scale.Size{Nodes: 100, Pods: 5000, Services: 1000, Events: 700}
	f, err := p.fill(ctx, size)
	if err != nil {
		return "", err
	}
	defer f.stop()
	commands := []command{
		{name: "`kubectl netdoctor check --depth api`", args: []string{p.doctor, "check", "--kubeconfig", f.kubeconfig, "--depth", "api"}},
		{name: "`kubectl netdoctor check` (logs and kubelets too; these kubelets refuse at once)",
			args: []string{p.doctor, "check", "--kubeconfig", f.kubeconfig}},
		{name: "`kubectl get pods,svc,endpointslices -A -o json`",
			args: []string{p.kubectl, "--kubeconfig", f.kubeconfig, "get", "pods,svc,endpointslices", "-A", "-o", "json"}},
	}
	for i := range commands {
		commands[i].out = filepath.Join(p.dir, fmt.Sprint("out", i))
	}
	measured, err := inTurn(runs, f.server, commands)
	if err != nil {
		return "", err
	}
	return smallSection(size, runs, commands, measured)
}

func smallSection(size scale.Size, runs int, commands []command, measured [][]sample) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, `## A usual cluster

Made by `+"`make bench`"+` (hack/bench): a real etcd and kube-apiserver of test/lab on the same machine (%d cores, %s), filled with
%d nodes, %d pods and %d Services with one EndpointSlice each (test/scale). The commands run in turn, %d times after one run that warms up;
the figures are medians of whole processes. Compare the ratios, not the seconds.

| command | seconds | CPU seconds | peak MiB | bytes printed |
|---|---|---|---|---|
`, runtime.NumCPU(), runtime.GOOS+"/"+runtime.GOARCH, size.Nodes, size.Pods, size.Services, runs)
	for i, c := range commands {
		printed, err := os.Stat(c.out)
		if err != nil {
			return "", err
		}
		m := measured[i]
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.0f | %d |\n", c.name, median(m, wall), median(m, cpu), median(m, memory), printed.Size())
	}
	ratio := func(i int, of func(sample) float64) float64 { return median(measured[i], of) / median(measured[2], of) }
	fmt.Fprintf(&b, "\nAgainst `kubectl get`, which reads three of the twelve lists and judges nothing: `check --depth api` takes %.2f times the time and"+
		" %.2f times the memory; the default `check` %.2f and %.2f times.\n", ratio(0, wall), ratio(0, memory), ratio(1, wall), ratio(1, memory))
	return b.String(), nil
}
