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
		if !idForm.MatchString(p.ID) || seen[p.ID] {
			t.Errorf("id %q is malformed or stands twice", p.ID)
		}
		seen[p.ID] = true
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
	if p := plugins.Named("no-such"); p != nil {
		t.Errorf("Named(no-such) = %v, want nil", p)
	}
}
