package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// doctor runs kubectl-netdoctor against the cluster.
type doctor struct {
	lab testLab
	bin string
}

// buildDoctor builds the plugin from the module around the lab, static as it is released, so
// that it can be made an image of.
func buildDoctor(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "kubectl-netdoctor")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./cmd/kubectl-netdoctor")
	cmd.Dir = filepath.Join("..", "..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the doctor: %v\n%s", err, out)
	}
	return bin
}

// doctorImage is what the pods of a deeper look run.
const doctorImage = "docker.io/library/netdoctor:lab"

// buildImage packs the doctor as an image that labs can load.
func buildImage(t *testing.T, bin string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "netdoctor.tar")
	cmd := exec.CommandContext(t.Context(), "go", "run", "./hack/image", "-binary", bin, "-ref", doctorImage, "-out", file)
	cmd.Dir = filepath.Join("..", "..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("packing the doctor: %v\n%s", err, out)
	}
	return file
}

// reply is how a run of the doctor ended.
type reply struct {
	stdout, stderr string
	exit           int
}

func (r reply) String() string { return fmt.Sprintf("exit code %d\n%s%s", r.exit, r.stdout, r.stderr) }

func (d doctor) run(ctx context.Context, args ...string) (reply, error) {
	cmd := d.lab.Command(ctx, d.bin, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return reply{}, fmt.Errorf("netdoctor %s: %w", strings.Join(args, " "), err)
	}
	return reply{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}, ctx.Err()
}

// succeed insists on exit code 0.
func (d doctor) succeed(ctx context.Context, args ...string) error {
	r, err := d.run(ctx, args...)
	if err == nil && r.exit != 0 {
		err = fmt.Errorf("netdoctor %s: %s", strings.Join(args, " "), r)
	}
	return err
}

// opinion is a report of check.
type opinion struct {
	says []Saying
	exit int
}

// check asks the doctor what is wrong.
func (d doctor) check(ctx context.Context, args ...string) (opinion, error) {
	r, err := d.run(ctx, append([]string{"check", "-o", "json"}, args...)...)
	if err != nil {
		return opinion{}, err
	}
	var report struct {
		Roots []struct {
			Check, Severity, Message string
			Subject                  struct{ Kind, Namespace, Name string }
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		return opinion{}, fmt.Errorf("the report is no JSON (%w): %s", err, r)
	}
	o := opinion{exit: r.exit}
	for _, root := range report.Roots {
		subject := strings.Trim(strings.Join([]string{root.Subject.Namespace, root.Subject.Name}, "/"), "/")
		o.says = append(o.says, Saying{root.Check, root.Severity, strings.TrimSpace(root.Subject.Kind + " " + subject), root.Message})
	}
	return o, nil
}

// is tells whether these checks, and no others, found something.
func (o opinion) is(want []string) error {
	var got []string
	for _, s := range o.says {
		got = append(got, s.Check)
	}
	slices.Sort(got)
	got = slices.Compact(got)
	exit := 0
	if len(want) > 0 {
		exit = 1
	}
	if !slices.Equal(got, slices.Sorted(slices.Values(want))) || o.exit != exit {
		return fmt.Errorf("check names %q with exit code %d, want %q with %d:\n%s", got, o.exit, want, exit, o)
	}
	return nil
}

func (o opinion) String() string {
	var b strings.Builder
	for _, s := range o.says {
		fmt.Fprintf(&b, "  %s: %s %s\n", s.Check, s.Subject, s.Message)
	}
	return b.String()
}

// capture saves the state of the cluster as a bundle, in place of the one of an
// earlier run.
func (d doctor) capture(ctx context.Context, dir, name string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, name+".tar.gz"))
	if err != nil {
		return "", err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return path, d.succeed(ctx, "capture", "-f", path)
}
