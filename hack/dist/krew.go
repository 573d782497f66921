package main

import (
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/hack/internal/release"
)

// releases is where the archives of a version are published.
const releases = release.Source + "/releases/download/"

// The manifest in the form of krew's API (krew.googlecontainertools.github.com/v1alpha2).
type (
	krewPlugin struct {
		APIVersion string       `json:"apiVersion"`
		Kind       string       `json:"kind"`
		Metadata   krewMetadata `json:"metadata"`
		Spec       krewSpec     `json:"spec"`
	}
	krewMetadata struct {
		Name string `json:"name"`
	}
	krewSpec struct {
		Version          string         `json:"version"`
		Homepage         string         `json:"homepage"`
		ShortDescription string         `json:"shortDescription"`
		Description      string         `json:"description"`
		Platforms        []krewPlatform `json:"platforms"`
	}
	krewPlatform struct {
		Selector krewSelector `json:"selector"`
		URI      string       `json:"uri"`
		Sha256   string       `json:"sha256"`
		Bin      string       `json:"bin"`
	}
	krewSelector struct {
		MatchLabels map[string]string `json:"matchLabels"`
	}
)

// newManifest returns the manifest of a version whose archives have these sums, by name.
func newManifest(version string, sums map[string]string) krewPlugin {
	m := krewPlugin{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin", Metadata: krewMetadata{"netdoctor"},
		Spec: krewSpec{
			Version: version, Homepage: release.Source,
			ShortDescription: "Find and cure faults of a cluster's network",
			Description: `Finds out why the network of a cluster does not work: looks at the network plugin, CoreDNS,
kube-proxy, the kubelets, Services and nodes, and names the root cause with its evidence, the
symptoms folded below it. Repairs it on request: shown first, verified after, undone at any time.

  kubectl netdoctor check
  kubectl netdoctor fix coredns-loop --dry-run
`,
		},
	}
	for _, p := range platforms() {
		m.Spec.Platforms = append(m.Spec.Platforms, krewPlatform{
			Selector: krewSelector{map[string]string{"os": p.os, "arch": p.arch}},
			URI:      releases + version + "/" + p.archive(), Sha256: sums[p.archive()], Bin: p.binary(),
		})
	}
	return m
}

func renderManifest(version string, sums map[string]string) ([]byte, error) {
	return yaml.Marshal(newManifest(version, sums))
}
