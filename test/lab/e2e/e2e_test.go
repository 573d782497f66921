package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/faults"
)

// The environment that the suite reads.
const (
	envFaults     = "E2E_FAULTS"     // which faults to make, separated by commas; all by default
	envKubeconfig = "E2E_KUBECONFIG" // of a cluster to use in place of the lab; then also:
	envImage      = "E2E_IMAGE"      // a busybox that it has or can pull
	envOutside    = "E2E_OUTSIDE"    // a name outside it that resolves, "example.com" by default
	envUpstream   = "E2E_UPSTREAM"   // a DNS server outside it, for the fixes that need one
	envArtifacts  = "E2E_ARTIFACTS"  // where the state of a cluster is saved with which something failed
	envCapture    = "E2E_CAPTURE"    // where the state of every broken cluster, and of the healthy one, is saved
	envResults    = "E2E_RESULTS"    // the file that the results are written to as JSON
	envLabs       = "E2E_LABS"       // how many labs to share the faults among, 1 by default
	envName       = "E2E_NAME"       // of the lab, "e2e" by default
	envKeep       = "E2E_KEEP"       // anything: the lab stays for a look
)

// How long to wait for what must come. Waiting ends with the condition, so
// these only matter where something is wrong.
const (
	shownWithin   = 2 * time.Minute
	namedWithin   = 3*time.Minute + 30*time.Second // what a Service without endpoints is given, and some more
	healthyWithin = 3 * time.Minute
	commandWithin = 3 * time.Minute
	// faultWithin is what a fault takes that is not as expected. It must be left
	// of the test's own time, or nobody would take the lab down.
	faultWithin = 5 * time.Minute
)

// testLab is a cluster that the suite can break.
type testLab interface {
	faults.Lab
	// Command prepares a program to run where the API server can be reached,
	// with KUBECONFIG set.
	Command(ctx context.Context, name string, args ...string) *exec.Cmd
}

// run is what the labs of one run of the suite share.
type run struct {
	bin       string // the doctor
	image     string // the archive of its image
	artifacts string
	chosen    []*faults.Fault
	todo      chan *faults.Fault
	starting  chan struct{} // held while a lab starts, which takes a processor

	mu      sync.Mutex
	results Results
}

// suite is one cluster, in which one fault is made after the other.
type suite struct {
	*run
	lab      testLab
	doctor   doctor
	upstream string // a DNS server outside the cluster; "" where none is known
	shell    bool   // whether nodes can be entered
}

// TestFaults makes every fault, in one cluster unless more are asked for.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("breaking a real cluster in every way takes ten minutes and more")
	}
	needCluster(t)
	r := newRun(t)
	start := time.Now()
	var labs sync.WaitGroup
	for i := range labCount(t) {
		labs.Go(func() { r.work(t, i) })
	}
	labs.Wait()
	for f := range r.todo {
		t.Errorf("%s was not made: no healthy cluster is left, or no time", f.ID)
	}
	r.report(t, time.Since(start))
}

func newRun(t *testing.T) *run {
	t.Helper()
	r := &run{bin: buildDoctor(t), artifacts: os.Getenv(envArtifacts), chosen: chosenFaults(t)}
	r.image = buildImage(t, r.bin)
	if r.artifacts == "" {
		dir, err := os.MkdirTemp("", "netdoctor-e2e-")
		if err != nil {
			t.Fatal(err)
		}
		r.artifacts = dir
	}
	for _, dir := range []string{r.artifacts, os.Getenv(envCapture)} {
		if err := os.MkdirAll(dir, 0o755); dir != "" && err != nil {
			t.Fatal(err)
		}
	}
	r.starting = make(chan struct{}, runtime.NumCPU())
	r.todo = make(chan *faults.Fault, len(r.chosen))
	for _, f := range inOrder(r.chosen) {
		r.todo <- f
	}
	close(r.todo)
	return r
}

// work starts a cluster and makes faults in it until none is left to be made.
func (r *run) work(t *testing.T, i int) {
	s := r.healthySuite(t, i)
	if s == nil {
		return
	}
	if i == 0 {
		s.captureState(t, "healthy")
		t.Run("healthy", s.deepHealthy)
	}
	fit := true
	for fit {
		if deadline, ok := t.Deadline(); ok && time.Until(deadline) < faultWithin {
			t.Error("no time is left for the next fault: give go test a longer -timeout")
			return
		}
		f, left := <-r.todo
		if !left {
			return
		}
		t.Run(f.ID, func(t *testing.T) { fit = s.fault(t, f) })
	}
}

// healthySuite starts a cluster and waits until it is healthy; nil where it does not
// come to be.
func (r *run) healthySuite(t *testing.T, i int) *suite {
	r.starting <- struct{}{}
	defer func() { <-r.starting }()
	s, err := r.newSuite(t, i)
	if err != nil {
		t.Error(err)
		return nil
	}
	if err := s.startHealthy(t.Context()); err != nil {
		s.save(t, "healthy")
		t.Errorf("the cluster is not healthy before anything was broken: %v", err)
		return nil
	}
	return s
}

func (r *run) newSuite(t *testing.T, i int) (*suite, error) {
	s := &suite{run: r}
	var err error
	if os.Getenv(envKubeconfig) != "" {
		s.upstream = os.Getenv(envUpstream)
		s.lab, err = userCluster(t)
	} else {
		s.shell, s.upstream = true, faults.Upstream
		s.lab, err = startLab(t, i, r.image)
	}
	s.doctor = doctor{s.lab, r.bin}
	return s, err
}

// labCount is how many labs share the faults. Most of a run is waiting, so more
// than one are faster, where there is memory for them.
func labCount(t *testing.T) int {
	t.Helper()
	text := os.Getenv(envLabs)
	if text == "" || os.Getenv(envKubeconfig) != "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s: not a number of labs: %q", envLabs, text)
	}
	return n
}

func chosenFaults(t *testing.T) []*faults.Fault {
	t.Helper()
	names := os.Getenv(envFaults)
	if names == "" {
		return faults.All()
	}
	var chosen []*faults.Fault
	for name := range strings.SplitSeq(names, ",") {
		f, found := faults.Named(strings.TrimSpace(name))
		if !found {
			t.Fatalf("%s: no fault is called %q", envFaults, name)
		}
		chosen = append(chosen, f)
	}
	return chosen
}

// inOrder puts those first that take long, so that no lab is left with one at the end,
// and those last that the doctor sees by a Service only: it gives a new one some minutes,
// and all of them are made at the start.
func inOrder(list []*faults.Fault) []*faults.Fault {
	place := func(f *faults.Fault) int {
		switch {
		case f.Slow:
			return 0
		case slices.Contains(f.Instead, "service-no-endpoints"):
			return 2
		}
		return 1
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *faults.Fault) int { return place(a) - place(b) })
	return list
}

// startHealthy makes what the suite and the faults need of a healthy cluster,
// which must still be one afterwards.
func (s *suite) startHealthy(ctx context.Context) error {
	if err := s.describe(ctx); err != nil {
		return err
	}
	if err := deployProbes(ctx, s.lab); err != nil {
		return err
	}
	for _, f := range s.chosen {
		if f.Prepare != nil && s.omitted(f) == "" {
			if err := f.Prepare(ctx, s.lab); err != nil {
				return fmt.Errorf("preparing %s: %w", f.ID, err)
			}
		}
	}
	return s.awaitHealthy(ctx)
}

// omitted says why a fault cannot be made here, or "".
func (s *suite) omitted(f *faults.Fault) string {
	switch {
	case f.Impossible != "":
		return f.Impossible
	case f.Shell && !s.shell:
		return "needs a shell on the nodes"
	}
	return ""
}

// fault makes one fault, looks, repairs and mends. It returns whether the
// cluster is healthy again.
func (s *suite) fault(t *testing.T, f *faults.Fault) (fit bool) {
	r := Result{Fault: f.ID, Title: f.Title, Want: f.Root, Depth: f.Depth, Deep: f.Deep, Says: []Saying{}}
	defer func() { s.record(r) }()
	if r.Skipped = s.omitted(f); r.Skipped != "" {
		t.Skip("left out: " + r.Skipped)
	}
	if err := s.examine(t, f, &r); err != nil {
		r.Failure = err.Error()
		t.Error(err)
		s.save(t, f.ID)
	}
	ctx := context.WithoutCancel(t.Context())
	if err := bounded(ctx, s.lab, f.Mend); err != nil {
		t.Errorf("mending by hand: %v", err)
		return false
	}
	if err := s.awaitHealthy(ctx); err != nil {
		t.Errorf("after mending by hand: %v", err)
		s.save(t, f.ID+"-mended")
		return false
	}
	return true
}

func (s *suite) examine(t *testing.T, f *faults.Fault, r *Result) error {
	ctx := t.Context()
	if f.Shown(ctx, s.lab) == nil {
		return errors.New("the healthy cluster shows the fault already: what it is told by proves nothing")
	}
	if err := bounded(ctx, s.lab, f.Break); err != nil {
		return fmt.Errorf("breaking: %w", err)
	}
	made := time.Now()
	if err := eventually(ctx, shownWithin, func() error { return f.Shown(ctx, s.lab) }); err != nil {
		return fmt.Errorf("the cluster does not show the fault: %w", err)
	}
	err := s.awaitNamed(ctx, f, r)
	r.Seconds = time.Since(made).Seconds()
	if err != nil {
		return err
	}
	r.Named = f.Root != ""
	s.captureState(t, f.ID)
	if err := s.lookDeeper(ctx, f, r); err != nil {
		return err
	}
	if f.Fix == nil {
		return nil
	}
	return s.repair(ctx, f, r)
}

// bounded takes a step, which ends with an error where the cluster lets it hang.
func bounded(ctx context.Context, lab testLab, step func(context.Context, faults.Lab) error) error {
	ctx, cancel := context.WithTimeout(ctx, commandWithin)
	defer cancel()
	return step(ctx, lab)
}

// unknown is the doctor's exit code where it found nothing and could not look at everything.
const unknown = 3

// awaitNamed asks the doctor until it says what is expected. Where that is
// nothing, one look has to do: there is no telling how long nothing takes.
func (s *suite) awaitNamed(ctx context.Context, f *faults.Fault, r *Result) error {
	want := f.Instead
	if f.Root != "" {
		want = []string{f.Root}
	}
	return eventually(ctx, namedWithin, func() error {
		o, err := s.doctor.check(ctx)
		if err != nil {
			return err
		}
		r.Says = append([]Saying{}, o.says...)
		if f.Root == "" && o.exit == unknown {
			o.exit = 0 // such a fault may keep the doctor from looking, too, which it must say
		}
		return o.is(want)
	})
}

// awaitHealthy waits until pods get what they need on every node and the
// doctor finds nothing.
func (s *suite) awaitHealthy(ctx context.Context) error {
	return eventually(ctx, healthyWithin, func() error {
		o, err := s.doctor.check(ctx)
		if err == nil {
			err = o.is(nil)
		}
		if err != nil {
			return fmt.Errorf("not healthy: %w", err)
		}
		return probe(ctx, s.lab)
	})
}

// eventually polls a condition and returns what stood against it at the end.
func eventually(ctx context.Context, within time.Duration, holds func() error) error {
	deadline := time.After(within)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-deadline:
			return fmt.Errorf("not within %s: %w", within, err)
		case <-ticker.C:
		}
	}
}

// save keeps the state of a cluster in which something is not as expected.
func (s *suite) save(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), commandWithin)
	defer cancel()
	path, err := s.doctor.capture(ctx, s.artifacts, name)
	if err != nil {
		t.Logf("saving the cluster's state: %v", err)
		return
	}
	t.Logf("the cluster's state is saved in %s", path)
}

func (s *suite) captureState(t *testing.T, name string) {
	t.Helper()
	if dir := os.Getenv(envCapture); dir != "" {
		if _, err := s.doctor.capture(t.Context(), dir, name); err != nil {
			t.Errorf("capturing: %v", err)
		}
	}
}

func (r *run) record(result Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results.Faults = append(r.results.Faults, result)
}

// describe records what the cluster is.
func (s *suite) describe(ctx context.Context) error {
	out, err := s.lab.Kubectl(ctx, "", "version", "-o", "json")
	if err != nil {
		return err
	}
	var v struct{ ServerVersion struct{ GitVersion string } }
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results.Server, s.results.Nodes = v.ServerVersion.GitVersion, len(s.lab.Nodes())
	return nil
}

// report prints the table and writes the results, in the order of the list.
func (r *run) report(t *testing.T, took time.Duration) {
	t.Helper()
	place := map[string]int{}
	for i, f := range faults.All() {
		place[f.ID] = i
	}
	slices.SortFunc(r.results.Faults, func(a, b Result) int { return place[a.Fault] - place[b.Fault] })
	r.results.Seconds = took.Seconds()
	var table strings.Builder
	if err := r.results.WriteTable(&table); err != nil {
		t.Error(err)
	}
	t.Logf("%d faults in %s\n%s", len(r.results.Faults), took.Round(time.Second), &table)
	path := os.Getenv(envResults)
	if path == "" {
		return
	}
	data, err := json.MarshalIndent(r.results, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Clean(path), append(data, '\n'), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}
