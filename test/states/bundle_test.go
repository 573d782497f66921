package states_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/test/states"
)

// A bundle is handed over file by file, as a directory and as an archive, until take fails.
func TestEachFile(t *testing.T) {
	archives, err := filepath.Glob("../clusters/*/*.tar.gz")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archive is in test/clusters: %v", err)
	}
	full := errors.New("full")
	for _, bundle := range []string{"../../examples/coredns-loop", archives[0]} {
		held := map[string]int{}
		if err := states.EachFile(bundle, func(name string, data []byte) error { held[name] = len(data); return nil }); err != nil {
			t.Fatal(err)
		}
		if held["bundle.json"] == 0 || len(held) < 5 {
			t.Errorf("%s: got %v", bundle, held)
		}
		for name := range held {
			if !fs.ValidPath(name) {
				t.Errorf("%s: %q is no path in it", bundle, name)
			}
		}
		handed := 0
		if err := states.EachFile(bundle, func(string, []byte) error { handed++; return full }); !errors.Is(err, full) || handed != 1 {
			t.Errorf("%s: got %v after %d files", bundle, err, handed)
		}
	}
	if err := states.EachFile("no-such-bundle.tar.gz", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of an archive that is none: %v", err)
	}
}
