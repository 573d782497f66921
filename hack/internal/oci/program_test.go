package oci

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// tiny builds a static program that does nothing.
func tiny(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	for file, text := range map[string]string{"go.mod": "module example.test/tiny\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", "tiny", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(filepath.Join(dir, "tiny"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestParse(t *testing.T) {
	good := tiny(t)
	p, err := parse(good)
	if err != nil || p.Arch != runtime.GOARCH || p.Info.Main.Path != "example.test/tiny" {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, tc := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"no program", []byte("#!/bin/sh\n"), "unrecognized file format"},
		{"nothing", nil, ""},
		{"cut short", good[:len(good)/3], ""},
		{"another system", bytes.ReplaceAll(good, []byte("GOOS=linux"), []byte("GOOS=plan9")), "built for plan9"},
		{"a loader", withLoader(t, good), "CGO_ENABLED=0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := parse(tc.content); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := Read("/no/such/program"); err == nil {
		t.Error("a program that is not there was read")
	}
}

// withLoader makes of the first segment, in a 64-bit ELF, one that names a loader.
func withLoader(t *testing.T, content []byte) []byte {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	const headers = 64 // of which each begins with its type
	changed := bytes.Clone(content)
	f.ByteOrder.PutUint32(changed[headers:], uint32(elf.PT_INTERP))
	return changed
}
