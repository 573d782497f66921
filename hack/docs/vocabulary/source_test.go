package vocabulary

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// unpack writes files into a folder that the test then works in.
func unpack(t *testing.T, files string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, f := range txtar.Parse([]byte(files)).Files {
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (w words) want(t *testing.T, core, prose string) {
	t.Helper()
	for name, list := range map[string][2]string{"core": {strings.Join(slices.Sorted(maps.Keys(w.core)), " "), core}, "prose": {strings.Join(slices.Sorted(maps.Keys(w.prose)), " "), prose}} {
		if list[0] != list[1] {
			t.Errorf("%s: got %q, want %q", name, list[0], list[1])
		}
	}
}

func TestPackages(t *testing.T) {
	unpack(t, `
-- embed.go --
package netdoctor

const a = "top"
-- pkg/first/first.go --
package first

import (
	"archive/tar"

	"github.com/kubectl-netdoctor/netdoctor"
	"github.com/kubectl-netdoctor/netdoctor/pkg/second"
	"github.com/kubectl-netdoctor/netdoctorate/pkg/stranger"
)

const a = "one"
-- pkg/first/first_test.go --
package first

import "github.com/kubectl-netdoctor/netdoctor/pkg/third"

const b = "nothing"
-- pkg/second/second_windows.go --
package second

import "github.com/kubectl-netdoctor/netdoctor/pkg/first"

const a = "two"
-- pkg/third/third.go --
package third

const a = "three"
`)
	w := words{core: map[string]bool{}, prose: map[string]bool{}}
	if err := w.collectPackages("pkg/first"); err != nil {
		t.Fatal(err)
	}
	w.want(t, "one top two", "")
	if err := w.collectPackages("pkg/fourth"); err == nil {
		t.Error("a package that is not there is none to complain of")
	}
}

// What people are told is prose, what may be looked for is not, wherever it stands.
func TestMessages(t *testing.T) {
	unpack(t, `
-- pkg/a/a.go --
package a

import (
	"errors"
	"fmt"
)

var check = &Check{ID: "gate", Doc: "shut" + code + "by", Title: cut("wind", "of"), ByHand: []string{"go there"}, Run: func() { look("storm") }}

func find() (f Finding) {
	f.Message = "stands " + fmt.Sprintf("open: %s", word)
	f.Severity, f.Remedy, f.Subject = level("high"), "close it", "door"
	f.Manual = append(f.Manual, "push")
	remedy := "walk"
	other := "sand"
	if f.Message == "gone" {
		return Finding{Message: "creaks", Evidence: quote("hinge", remedy)}
	}
	f.err = fmt.Errorf("no oil: %w", errors.New("dry"))
	first, second := pair("both")
	return f
}
`)
	w := words{core: map[string]bool{}, prose: map[string]bool{}}
	if err := w.collectPackages("pkg/a"); err != nil {
		t.Fatal(err)
	}
	w.want(t, "both door gate gone high hinge of sand storm wind", "by close creaks dry go it no oil open push shut stands there walk")
}
