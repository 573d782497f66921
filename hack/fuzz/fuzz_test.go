package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestDeclared(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a_test.go")
	const text = `package a
import "testing"
func FuzzA(f *testing.F) {}
func Fuzz(f *testing.F) {}
func Fuzzy() {}
func Fuzz_b(f *testing.F) {}
func (x x) FuzzC(f *testing.F) {}
var FuzzD = 1
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	names, err := declared(file)
	if got, want := strings.Join(names, " "), "FuzzA Fuzz Fuzz_b"; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestTargets(t *testing.T) {
	list, err := targets(t.Context(), "../../pkg/corefile", regexp.MustCompile("^FuzzParse$"))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].name != "FuzzParse" || !strings.HasSuffix(list[0].pkg, "/pkg/corefile") || !filepath.IsAbs(list[0].dir) {
		t.Errorf("got %+v", list)
	}
}

const output = `fuzz: elapsed: 0s, gathering baseline coverage: 0/9 completed
fuzz: elapsed: 3s, execs: 500 (166/sec), new interesting: 1 (total: 10)
fuzz: elapsed: 1m1s, execs: 12200 (200/sec), new interesting: 7 (total: 16)
`

func TestTold(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	of := target{"FuzzA", "example/a", filepath.Join(dir, "a")}
	input := filepath.Join("a", "testdata", "fuzz", "FuzzA", "1f")
	if err := os.MkdirAll(filepath.Dir(input), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(input, []byte("go test fuzz v1\nstring(\"x\")\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text string
		err        error
		want       string
	}{
		{"well", output + "PASS\n", nil, "a FuzzA: 12200 executions (200/s), 7 new interesting inputs of 16\n"},
		{"short", "PASS\n", nil, "a FuzzA: not past its seeds\n"},
		{"end of its time", output + "--- FAIL: FuzzA (60.61s)\n    context deadline exceeded\nFAIL\n", errors.New("exit status 1"),
			"a FuzzA: 12200 executions (200/s), 7 new interesting inputs of 16\n"},
		{"failed", output + "--- FAIL: FuzzA\n    a_test.go:3: wrong\n\n    Failing input written to testdata/fuzz/FuzzA/1f\nFAIL\n", errors.New("exit status 1"),
			"a FuzzA: FAILED: exit status 1\n--- FAIL: FuzzA\n    a_test.go:3: wrong\n\n" +
				"    Failing input written to testdata/fuzz/FuzzA/1f\nFAIL\na/testdata/fuzz/FuzzA/1f holds the input:\ngo test fuzz v1\nstring(\"x\")\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := told(of, tt.text, judged(tt.err, tt.text)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// A target whose seeds take all of its time gets a longer one; one that was past them, and
// one that failed, do not.
func TestLonger(t *testing.T) {
	const seeds = "fuzz: elapsed: 0s, gathering baseline coverage: 0/9 completed\nPASS"
	for _, tt := range []struct{ name, first, end, want string }{
		{"seeds took it all", seeds, "exit 0", "2"},
		{"past its seeds", output + "PASS", "exit 0", "1"},
		{"failed", seeds, "exit 1", "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			program := filepath.Join(dir, "a.test")
			script := "#!/bin/sh\necho \"$*\" >>runs\ncat <<'END'\n" + tt.first + "\nEND\n" + tt.end + "\n"
			if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			p := programs{dir, map[string]string{"example/a": program}}
			_, err := p.fuzz(t.Context(), target{"FuzzA", "example/a", dir}, time.Minute)
			if (err != nil) != (tt.end == "exit 1") {
				t.Errorf("got error %v", err)
			}
			text, err := os.ReadFile(filepath.Join(dir, "runs"))
			if err != nil {
				t.Fatal(err)
			}
			runs := strings.Split(strings.TrimSpace(string(text)), "\n")
			if got := strconv.Itoa(len(runs)); got != tt.want {
				t.Fatalf("got %s runs, want %s", got, tt.want)
			}
			if !strings.Contains(runs[0], "-test.fuzztime=1m0s") || len(runs) == 2 && !strings.Contains(runs[1], "-test.fuzztime=5m0s") {
				t.Errorf("got runs\n%s", text)
			}
		})
	}
}
