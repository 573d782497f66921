package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/scale"
)

// programs are what is measured and what it is measured against.
type programs struct {
	dir                         string // temporary, for all that a run writes
	doctor, lab, floor, kubectl string
}

func build(dir, doctor string) (programs, error) {
	p := programs{dir: dir, doctor: doctor, lab: filepath.Join(dir, "lab"), floor: filepath.Join(dir, "floor")}
	for _, args := range [][]string{
		{"build", "-C", "test/lab", "-o", p.lab, "."},
		{"build", "-o", p.floor, "./hack/bench/floor"},
	} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return p, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	lab := exec.Command(p.lab, "build")
	lab.Stderr = os.Stderr
	bin, err := lab.Output()
	if err != nil {
		return p, fmt.Errorf("lab build: %w", err)
	}
	p.kubectl = filepath.Join(strings.TrimSpace(string(bin)), "kubectl")
	return p, nil
}

// filled is a control plane with the objects of a large cluster.
type filled struct {
	kubeconfig string
	server     scale.Server
	objects    int
	took       time.Duration // to write them
	stop       func()
}

// fill starts a control plane and fills it. What it wrote is removed when it stops.
func (p programs) fill(ctx context.Context, size scale.Size) (filled, error) {
	state, err := os.MkdirTemp(p.dir, "state-")
	if err != nil {
		return filled{}, err
	}
	f, err := p.up(ctx, state)
	if err != nil {
		return filled{}, err
	}
	cluster, err := scale.New(os.DirFS("test/clusters/healthy"), size, time.Now())
	if err == nil {
		f.server, err = scale.Running(state)
	}
	if err == nil {
		begin := time.Now()
		err = cluster.Write(ctx, f.server.EtcdURL)
		f.took, f.objects = time.Since(begin), cluster.Len()
	}
	if err != nil {
		f.stop()
		return filled{}, fmt.Errorf("filling the API server: %w", err)
	}
	return f, nil
}

// up starts a control plane that ends with this process.
func (p programs) up(ctx context.Context, state string) (filled, error) {
	up := exec.CommandContext(ctx, p.lab, "up", "--state", state, "--no-controllers")
	up.Stderr = os.Stderr
	stdin, err := up.StdinPipe()
	if err != nil {
		return filled{}, err
	}
	stdout, err := up.StdoutPipe()
	if err != nil {
		return filled{}, err
	}
	if err := up.Start(); err != nil {
		return filled{}, err
	}
	stop := func() {
		stdin.Close()
		_ = up.Wait()
		os.RemoveAll(state)
	}
	f := filled{stop: stop}
	if _, err := fmt.Fscanf(stdout, "ready %s\n", &f.kubeconfig); err != nil {
		stop()
		return filled{}, fmt.Errorf("lab up: %w", err)
	}
	return f, nil
}
