package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The limit is raised by the first lab and set back by the last one, whatever happens in
// between, and never lowered under somebody's feet.
func TestInotify(t *testing.T) {
	type step struct {
		do   string // raise, restore, or what somebody else sets
		labs int    // that are there then
		want string
	}
	for name, steps := range map[string][]step{
		"one lab":                   {{"raise", 1, "1024"}, {"restore", 0, "128"}},
		"two labs":                  {{"raise", 1, "1024"}, {"raise", 2, "1024"}, {"restore", 1, "1024"}, {"restore", 0, "128"}},
		"set back twice":            {{"raise", 1, "1024"}, {"restore", 0, "128"}, {"restore", 0, "128"}},
		"high enough already":       {{"4096", 0, "4096"}, {"raise", 1, "4096"}, {"restore", 0, "4096"}},
		"somebody raises it":        {{"raise", 1, "1024"}, {"8192", 1, "8192"}, {"restore", 0, "8192"}},
		"somebody lowers it":        {{"raise", 1, "1024"}, {"64", 1, "64"}, {"raise", 2, "1024"}, {"restore", 0, "64"}},
		"nothing was ever raised":   {{"restore", 0, "128"}},
		"raised again after a lull": {{"raise", 1, "1024"}, {"restore", 0, "128"}, {"raise", 1, "1024"}, {"restore", 0, "128"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			i := inotify{filepath.Join(dir, "limit"), filepath.Join(dir, "note"), filepath.Join(dir, "labs")}
			write(t, i.limit, "128\n")
			for n, s := range steps {
				labs(t, i.labs, s.labs)
				var err error
				switch s.do {
				case "raise":
					err = i.raise()
				case "restore":
					err = i.restore()
				default:
					write(t, i.limit, s.do)
				}
				got, _ := os.ReadFile(i.limit)
				if err != nil || strings.TrimSpace(string(got)) != s.want {
					t.Fatalf("step %d, %s: the limit is %s, want %s (%v)", n, s.do, got, s.want, err)
				}
			}
		})
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func labs(t *testing.T, dir string, n int) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		lab := filepath.Join(dir, string(rune('a'+i)))
		if err := os.MkdirAll(lab, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(lab, "lab.json"), "{}")
	}
}
