package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// programs are the test programs of packages, built for fuzzing.
type programs struct {
	cache    string            // where Go keeps inputs that are worth keeping
	programs map[string]string // by package
}

// build builds each package's tests once, with what tells the fuzzer which code an input
// reached, instead of once for each target.
func build(ctx context.Context, dir string, list []target) (programs, error) {
	cache, err := exec.CommandContext(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return programs{}, fmt.Errorf("asking for GOCACHE: %w", err)
	}
	out := programs{filepath.Join(strings.TrimSpace(string(cache)), "fuzz"), map[string]string{}}
	for _, t := range list {
		if out.programs[t.pkg] != "" {
			continue
		}
		name := filepath.Join(dir, strconv.Itoa(len(out.programs))+".test")
		c := exec.CommandContext(ctx, "go", "test", "-c", "-o", name, "-fuzz", "^"+t.name+"$", t.pkg)
		if text, err := c.CombinedOutput(); err != nil {
			return programs{}, fmt.Errorf("building the tests of %s: %w\n%s", t.pkg, err, text)
		}
		out.programs[t.pkg] = name
	}
	return out, nil
}

// overtime is how much longer than told a target may take: for its seeds, and to make an
// input that fails small.
const overtime = 3 * time.Minute

// small is how often the fuzzer tries to make an input smaller that reaches new code or
// fails. Its own minute for each would leave a slow target no time to look for others.
const small = "20x"

// longer is how many times its time a target gets once more whose seeds took all of it: on
// a busy machine those of a slow one do, and nothing was tried then.
const longer = 5

// fuzz runs one target, and returns what it wrote.
func (p programs) fuzz(ctx context.Context, t target, each time.Duration) (string, error) {
	text, err := p.run(ctx, t, each)
	if err == nil && ctx.Err() == nil && !pastSeeds(text) {
		return p.run(ctx, t, longer*each)
	}
	return text, err
}

// pastSeeds tells whether a target that wrote this tried an input of the fuzzer's own.
func pastSeeds(text string) bool { return progress.MatchString(text) }

// run runs one target in a process that has one worker, and returns what it wrote.
func (p programs) run(ctx context.Context, t target, each time.Duration) (string, error) {
	timed, cancel := context.WithTimeout(ctx, each+overtime)
	defer cancel()
	c := exec.CommandContext(timed, p.programs[t.pkg], "-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.fuzztime="+each.String(), "-test.fuzzminimizetime="+small,
		"-test.fuzzcachedir="+filepath.Join(p.cache, filepath.FromSlash(t.pkg)), "-test.parallel=1")
	c.Dir = t.dir
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	var text bytes.Buffer
	c.Stdout, c.Stderr = &text, &text
	err := judged(c.Run(), text.String())
	if errors.Is(timed.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("it did not end within %s", each+overtime)
	}
	return text.String(), err
}

var (
	progress = regexp.MustCompile(`(?m)^fuzz: elapsed: (\w+), execs: (\d+) .*new interesting: (\d+) \(total: (\d+)\)`)
	chatter  = regexp.MustCompile(`(?m)^fuzz: (?:elapsed|minimizing).*\n`)
	// outOfTime is what the fuzzer of Go before 1.27 sometimes says when its time ends
	// (go.dev/issue/75804).
	outOfTime = regexp.MustCompile(`(?m)^--- FAIL: \w+ \([0-9.]+s\)\n    context deadline exceeded\nFAIL$`)
	failing   = regexp.MustCompile(`(?m)^\s*Failing input written to (\S+)$`)
)

// judged takes the end of the time for no failure, unless an input is there that fails.
func judged(err error, text string) error {
	if err != nil && outOfTime.MatchString(text) && !failing.MatchString(text) {
		return nil
	}
	return err
}

// told is what there is to say of a target that ended: a line, and what failed with the
// input that made it fail.
func told(t target, text string, err error) string {
	if err == nil {
		return fmt.Sprintf("%s %s: %s\n", in(t.dir), t.name, counted(text))
	}
	line := fmt.Sprintf("%s %s: FAILED: %v\n%s", in(t.dir), t.name, err, chatter.ReplaceAllString(text, ""))
	if m := failing.FindStringSubmatch(text); m != nil {
		file := filepath.Join(t.dir, filepath.FromSlash(m[1]))
		input, err := os.ReadFile(file)
		if err != nil {
			return line + err.Error() + "\n"
		}
		line += fmt.Sprintf("%s holds the input:\n%s", in(file), input)
	}
	return line
}

// counted tells how much was done, by the last time that the fuzzer said so.
func counted(text string) string {
	all := progress.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return "not past its seeds"
	}
	last := all[len(all)-1]
	execs, _ := strconv.Atoi(last[2]) // digits
	rate := ""
	if elapsed, err := time.ParseDuration(last[1]); err == nil && elapsed > 0 {
		rate = fmt.Sprintf(" (%.0f/s)", float64(execs)/elapsed.Seconds())
	}
	return fmt.Sprintf("%d executions%s, %s new interesting inputs of %s", execs, rate, last[3], last[4])
}
