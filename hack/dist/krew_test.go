package main

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/hack/internal/release"
)

// The checked-in manifest must hold to krew's rules (krew, internal/index/validation,
// and the naming and description rules of krew-index).
func TestManifest(t *testing.T) {
	data, err := os.ReadFile("../../.krew.yaml")
	if err != nil {
		t.Fatalf("%v: make dist writes it", err)
	}
	var m krewPlugin
	if err := yaml.UnmarshalStrict(data, &m); err != nil {
		t.Fatal(err)
	}
	if m.Kind != "Plugin" || m.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || m.Metadata.Name != "netdoctor" {
		t.Errorf("kind %s, apiVersion %s, name %s", m.Kind, m.APIVersion, m.Metadata.Name)
	}
	if err := release.CheckVersion(m.Spec.Version); err != nil {
		t.Error(err)
	}
	if n := len(m.Spec.ShortDescription); n == 0 || n > 50 {
		t.Errorf("shortDescription has %d characters, want 1 to 50", n)
	}
	if m.Spec.Description == "" || m.Spec.Homepage == "" {
		t.Error("description and homepage must be set")
	}
	seen := map[string]bool{}
	for _, p := range m.Spec.Platforms {
		labels := p.Selector.MatchLabels
		key := fmt.Sprint(labels["os"], "/", labels["arch"])
		if seen[key] || len(labels) != 2 || labels["os"] == "" || labels["arch"] == "" {
			t.Errorf("platform %s: selectors must name os and arch and not overlap", key)
		}
		seen[key] = true
		if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(p.Sha256) {
			t.Errorf("platform %s: sha256 %q is not 64 hex digits", key, p.Sha256)
		}
		if p.Bin == "" || p.URI != releases+m.Spec.Version+"/"+(platform{labels["os"], labels["arch"]}).archive() {
			t.Errorf("platform %s: bin %q, uri %q", key, p.Bin, p.URI)
		}
	}
	for _, p := range platforms() {
		if !seen[p.os+"/"+p.arch] {
			t.Errorf("no platform %s/%s", p.os, p.arch)
		}
	}
}
