package plugins_test

import (
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

func TestCatalogueIsValid(t *testing.T) {
	idForm := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	kinds := []plugins.Kind{plugins.Primary, plugins.Meta, plugins.Policy, plugins.Residue}
	dated := regexp.MustCompile(`20\d\d-\d\d`)
	seen := map[string]bool{}
	for _, p := range plugins.All() {
		for _, id := range append([]string{p.ID}, p.Aliases...) {
			if !idForm.MatchString(id) || seen[id] {
				t.Errorf("id %q is malformed or stands twice", id)
			}
			seen[id] = true
		}
		if p.Name == "" || !slices.Contains(kinds, p.Kind) {
			t.Errorf("%s: name %q, kind %q", p.ID, p.Name, p.Kind)
		}
		if s := p.Status.State; s != "active" && s != "archived" || !dated.MatchString(p.Status.Text) {
			t.Errorf("%s: status %q, %q must be active or archived, with a date", p.ID, s, p.Status.Text)
		}
		if u, err := url.Parse(p.Install.Page); err != nil || u.Scheme != "https" || u.Host == "" {
			t.Errorf("%s: install page %q", p.ID, p.Install.Page)
		}
		if !slices.Contains([]string{"yes", "no", "optional"}, p.EnforcesNetworkPolicy) {
			t.Errorf("%s: enforcesNetworkPolicy %q", p.ID, p.EnforcesNetworkPolicy)
		}
		if len(p.DaemonSets)+len(p.Labels)+len(p.Images)+len(p.Files) == 0 {
			t.Errorf("%s: nothing to recognise it by", p.ID)
		}
	}
}

// What is installed must be the same tomorrow: an address of one release, not of a branch.
func TestManifestsArePinned(t *testing.T) {
	sum := regexp.MustCompile(`^[0-9a-f]{64}$`)
	moving := regexp.MustCompile(`/(latest|master|main|HEAD|refs/heads)/`)
	for _, p := range plugins.All() {
		m := p.Install.Manifest
		if m == (plugins.Manifest{}) {
			continue
		}
		if u, err := url.Parse(m.URL); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || moving.MatchString(m.URL) {
			t.Errorf("%s: manifest %q is not one for good", p.ID, m.URL)
		}
		if !regexp.MustCompile(`^v\d+\.\d+\.\d+$`).MatchString(m.Version) || !strings.Contains(m.URL, "/"+m.Version+"/") {
			t.Errorf("%s: version %q does not stand in %s", p.ID, m.Version, m.URL)
		}
		if m.SHA256 != "" && !sum.MatchString(m.SHA256) {
			t.Errorf("%s: sha256 %q is no sum", p.ID, m.SHA256)
		}
		if p.Kind != plugins.Primary {
			t.Errorf("%s: a manifest of a plugin that is never installed alone", p.ID)
		}
	}
}

// Every field that the file's head explains is a field of Plugin and the other way
// round: the parser refuses unknown keys, and this refuses unexplained ones.
func TestEveryFieldIsExplained(t *testing.T) {
	data, err := os.ReadFile("../../plugins.yaml")
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(data), "\nplugins:\n")
	for _, m := range regexp.MustCompile(`(?m)^(?:- |  )([a-zA-Z]+):`).FindAllStringSubmatch(body, -1) {
		if !regexp.MustCompile(`(?m)^# ` + m[1] + `\s`).MatchString(head) {
			t.Errorf("the head of plugins.yaml does not explain %q", m[1])
		}
	}
}

func TestInstallable(t *testing.T) {
	var got []string
	for _, p := range plugins.Installable() {
		got = append(got, p.ID)
		if p.Install.Command == "" {
			t.Errorf("%s is recommended without a command", p.ID)
		}
	}
	if want := []string{"weave", "flannel", "calico", "cilium"}; !slices.Equal(got, want) {
		t.Errorf("Installable() = %v, want %v", got, want)
	}
}

func TestNamed(t *testing.T) {
	if p := plugins.Named("flannel"); p == nil || p.Name != "Flannel" {
		t.Errorf("Named(flannel) = %v", p)
	}
	if p := plugins.Named("weave-fork"); p == nil || p != plugins.Named("weave") {
		t.Errorf("Named(weave-fork) = %v, want Weave Net", p)
	}
	if p := plugins.Named("no-such"); p != nil {
		t.Errorf("Named(no-such) = %v, want nil", p)
	}
}
