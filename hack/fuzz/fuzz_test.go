package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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
