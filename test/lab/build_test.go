package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWarmBuildDoesNotCompile(t *testing.T) {
	bin := needBinaries(t)
	cmd := labCommand(t, "build")
	cmd.Env = append(cmd.Env, "GOCACHE=off") // go build refuses to run with it
	var progress strings.Builder
	cmd.Stderr = &progress
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("lab build: %v\n%s", err, &progress)
	}
	if got, want := string(out), bin+"\n"; got != want {
		t.Errorf("stdout = %q, want %q", got, want)
	}
	if progress.Len() > 0 {
		t.Errorf("stderr = %q, want nothing", &progress)
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kubectl"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Error(err)
		}
	}
}
