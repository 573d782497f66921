package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/test/scale"
)

// extra is what is looked at once on each cluster, after the runs that count.
type extra struct {
	reads    string  // what check -v told
	judging  float64 // seconds that all checks took, of that run
	seats    float64 // that API priority and fairness gave to a request, on average
	requests float64
	capture  sample
	from     sample // check --from, of what was captured
	differs  error  // how the answer from the bundle differs from the live one
}

func (p programs) extra(ctx context.Context, f filled, named []string) (extra, error) {
	var x extra
	seats, requests, err := p.seats(ctx, f)
	if err != nil {
		return x, err
	}
	told, err := p.told(ctx, f)
	if err != nil {
		return x, err
	}
	x.reads, x.judging = told.reads, told.judging
	seatsAfter, requestsAfter, err := p.seats(ctx, f)
	if err != nil {
		return x, err
	}
	x.requests = requestsAfter - requests
	x.seats = (seatsAfter - seats) / x.requests
	return x, p.bundle(f, named, &x)
}

type told struct {
	reads   string
	judging float64
}

// told runs check -v and takes apart what it writes to stderr.
func (p programs) told(ctx context.Context, f filled) (told, error) {
	cmd := exec.CommandContext(ctx, p.doctor, "check", "--depth", "api", "-v", "--kubeconfig", f.kubeconfig)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	_ = cmd.Run() // exit code 1: findings; what matters is on stderr
	var t told
	var kept []string
	for line := range strings.Lines(errOut.String()) {
		line = strings.TrimRight(line, "\n")
		var checks int
		if _, err := fmt.Sscanf(line, "%d checks took %f s", &checks, &t.judging); err == nil {
			continue
		}
		if !strings.Contains(line, " of ") { // a system namespace's part: all alike
			kept = append(kept, line)
		}
	}
	t.reads = strings.Join(kept, "\n")
	if t.judging == 0 && t.reads == "" {
		return t, fmt.Errorf("check -v tells nothing: %s", &errOut)
	}
	return t, nil
}

// seats returns how many seats priority and fairness has given to requests so far, and to
// how many. Source: the metric apiserver_flowcontrol_work_estimated_seats.
func (p programs) seats(ctx context.Context, f filled) (sum, count float64, err error) {
	out, err := exec.CommandContext(ctx, p.kubectl, "--kubeconfig", f.kubeconfig, "get", "--raw", "/metrics").Output()
	if err != nil {
		return 0, 0, fmt.Errorf("reading the API server's metrics: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		n, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case strings.HasPrefix(name, "apiserver_flowcontrol_work_estimated_seats_sum{"):
			sum += n
		case strings.HasPrefix(name, "apiserver_flowcontrol_work_estimated_seats_count{"):
			count += n
		}
	}
	return sum, count, nil
}

// bundle captures the cluster and holds what check says of the bundle against what it
// said of the cluster.
func (p programs) bundle(f filled, named []string, x *extra) error {
	file, report := filepath.Join(p.dir, "captured.tar.gz"), filepath.Join(p.dir, "from.json")
	if err := os.RemoveAll(file); err != nil {
		return err
	}
	var err error
	x.capture, err = measure(f.server, command{args: []string{p.doctor, "capture", "-f", file, "--timeout", "10m", "--kubeconfig", f.kubeconfig}, out: os.DevNull})
	if err != nil {
		return err
	}
	x.from, err = measure(f.server, command{args: []string{p.doctor, "check", "--from", file, "--depth", "api", "-o", "json"}, out: report})
	if err != nil {
		return err
	}
	said, err := os.ReadFile(report)
	if err != nil {
		return err
	}
	roots, err := scale.Roots(said)
	if err != nil {
		return err
	}
	if !slices.Equal(roots, named) {
		x.differs = fmt.Errorf("the bundle names %q, the cluster %q", roots, named)
	}
	return nil
}

func (x extra) section(whole float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nWhat one run read (`-v`):\n\n```\n%s\n```\n\nThen all checks took %.2f seconds, %.1f%% of a run. API priority and fairness gave each of %.0f requests"+
		" %.1f seats on average.\n\n", x.reads, x.judging, 100*x.judging/whole, x.requests, x.seats)
	fmt.Fprintf(&b, "`capture` takes %.1f seconds and %.0f MiB, `check --from` of the bundle %.1f seconds and %.0f MiB; ", x.capture.wall, x.capture.memory, x.from.wall, x.from.memory)
	if x.differs == nil {
		b.WriteString("it says the same as the live run.\n")
	} else {
		fmt.Fprintf(&b, "it differs: %v.\n", x.differs)
	}
	return b.String()
}
