package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// inNoModule are the plugins whose pinned manifests no Go module holds, and why.
var inNoModule = map[string]string{
	"weave": "an asset of a release: curl -L of its url, and sha256sum",
}

// tagged takes the address of a file at a tag of a repository apart.
var tagged = regexp.MustCompile(`^https://raw\.githubusercontent\.com/([^/]+/[^/]+)/(v[^/]+)/(.+)$`)

// A sum of plugins.yaml is that of the bytes at its address: the module of a tag is the
// repository at that tag, and go.sum vouches for it. What is pinned is what the lab's
// clusters run, so that nothing is installed which was not tried.
func TestPinnedManifests(t *testing.T) {
	text, err := os.ReadFile("../../plugins.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var catalogue struct {
		Plugins []struct {
			ID      string
			Install struct {
				Manifest struct{ URL, Version, SHA256 string }
			}
		}
	}
	if err := yaml.Unmarshal(text, &catalogue); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, p := range catalogue.Plugins {
		m := p.Install.Manifest
		if m.SHA256 == "" || inNoModule[p.ID] != "" {
			continue
		}
		seen++
		t.Run(p.ID, func(t *testing.T) {
			at := tagged.FindStringSubmatch(m.URL)
			if at == nil || at[2] != m.Version {
				t.Fatalf("%s is no file at the tag %s: say in inNoModule why its sum is right", m.URL, m.Version)
			}
			content := inModule(t, "github.com/"+at[1], at[2], at[3])
			if got := fmt.Sprintf("%x", sha256.Sum256(content)); got != m.SHA256 {
				t.Errorf("%s has sha256 %s, plugins.yaml says %s", m.URL, got, m.SHA256)
			}
			if !bytes.Contains(content, []byte(":"+m.Version+"\n")) {
				t.Errorf("%s runs no image of %s", m.URL, m.Version)
			}
		})
	}
	if seen == 0 {
		t.Error("no sum was looked at")
	}
}

// inModule reads a file of a module that the lab is built of.
func inModule(t *testing.T, module, version, file string) []byte {
	t.Helper()
	runs, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", module).Output()
	if err != nil {
		t.Fatalf("%s is no module of the lab: say in inNoModule why its sum is right", module)
	}
	if runs := strings.TrimSpace(string(runs)); runs != version {
		t.Fatalf("plugins.yaml pins %s %s, the lab runs %s: pin that, with the sha256 of its %s", module, version, runs, file)
	}
	out, _ := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module).Output() // its answer tells more
	var got struct{ Dir, Error string }
	if json.Unmarshal(out, &got) != nil || got.Dir == "" {
		t.Skipf("%s cannot be had: %s", module, got.Error)
	}
	content, err := os.ReadFile(filepath.Join(got.Dir, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return content
}
