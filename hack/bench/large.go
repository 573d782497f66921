package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/test/scale"
)

// large measures check --depth api against the floor on clusters of several sizes. Where
// it does not name the three faults, or names more, the error says so; the section is
// returned all the same.
func large(ctx context.Context, p programs, runs int, gzip bool, sizes []int) (string, error) {
	var all []result
	var missed []error
	for _, pods := range sizes {
		r, err := atSize(ctx, p, runs, gzip, scale.For(pods))
		if err != nil {
			return "", fmt.Errorf("%d pods: %w", pods, err)
		}
		fmt.Fprintf(os.Stderr, "bench: %d pods: filled in %.0f s; check takes %.2f s, %.2f times the floor\n", // the next size may take minutes
			pods, r.filled.took.Seconds(), median(r.measured[doctor], wall), r.ratio(doctor, wall))
		all, missed = append(all, r), append(missed, r.missed)
	}
	return largeSection(runs, gzip, all), errors.Join(missed...)
}

// result is what was measured at one size.
type result struct {
	size     scale.Size
	filled   filled
	commands []command
	measured [][]sample // by command
	named    []string   // what check said, see scale.Roots
	missed   error      // how that differs from the faults
	extra    extra
	bytes    float64 // of all lists, as the floor read them
}

// The places of the commands in a result.
const (
	doctor = iota
	floor
	plain
	rawGet
)

func atSize(ctx context.Context, p programs, runs int, gzip bool, size scale.Size) (result, error) {
	r := result{size: size}
	var err error
	if r.filled, err = p.fill(ctx, size); err != nil {
		return r, err
	}
	defer r.filled.stop()
	report := filepath.Join(p.dir, "report.json")
	r.commands = []command{
		doctor: {"`kubectl netdoctor check --depth api -o json`",
			[]string{p.doctor, "check", "--depth", "api", "-o", "json", "--kubeconfig", r.filled.kubeconfig}, report},
		plain: {"the same without compression",
			[]string{p.doctor, "check", "--depth", "api", "-o", "json", "--kubeconfig", r.filled.kubeconfig, "--disable-compression"}, os.DevNull},
		floor:  {"the floor", []string{p.floor, "-kubeconfig", r.filled.kubeconfig, fmt.Sprint("-gzip=", gzip)}, filepath.Join(p.dir, "floor.out")},
		rawGet: {"`kubectl get --raw /api/v1/pods`", []string{p.kubectl, "--kubeconfig", r.filled.kubeconfig, "get", "--raw", "/api/v1/pods"}, os.DevNull},
	}
	if r.measured, err = inTurn(runs, r.filled.server, r.commands); err != nil {
		return r, err
	}
	count, err := os.ReadFile(r.commands[floor].out)
	if err != nil {
		return r, err
	}
	if _, err := fmt.Sscan(string(count), &r.bytes); err != nil {
		return r, fmt.Errorf("what the floor printed: %w", err)
	}
	said, err := os.ReadFile(report) // of the last run
	if err != nil {
		return r, err
	}
	r.named, err = scale.Roots(said)
	if err != nil {
		return r, err
	}
	r.extra, err = p.extra(ctx, r.filled, r.named)
	r.missed = errors.Join(size.Missed(r.named), r.extra.differs)
	return r, err
}

// ratio of a command's median to that of the floor.
func (r result) ratio(command int, of func(sample) float64) float64 {
	return median(r.measured[command], of) / median(r.measured[floor], of)
}

func (r result) section() string {
	var b strings.Builder
	s := r.size
	fmt.Fprintf(&b, "\n### %d pods\n\n%d nodes, %d pods of applications and %d of the network stack, %d Services, %d events: %d objects, written in %.1f seconds;"+
		" the lists that check reads have %.0f MiB.\n\n",
		s.Pods, s.Nodes, s.Pods, 2*s.Nodes+2, s.Services, s.Events, r.filled.objects, r.filled.took.Seconds(), r.bytes/(1<<20))
	b.WriteString("| command | seconds | to the floor | CPU seconds | peak MiB | server's CPU seconds | kube-apiserver, peak MiB | etcd, peak MiB |\n" +
		"|---|---|---|---|---|---|---|---|\n")
	for i, c := range r.commands {
		m := r.measured[i]
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.2f | %.0f | %.2f | %.0f | %.0f |\n", c.name, median(m, wall), r.ratio(i, wall), median(m, cpu), median(m, memory),
			median(m, func(s sample) float64 { return s.server.cpu }), median(m, func(s sample) float64 { return s.server.apiPeak }),
			median(m, func(s sample) float64 { return s.server.etcdPeak }))
	}
	b.WriteString("\n`check` names:\n\n")
	for _, root := range r.named {
		fmt.Fprintf(&b, "- %s\n", root)
	}
	if r.missed == nil {
		b.WriteString("\nThat is all three faults, and nothing else.\n")
	} else {
		fmt.Fprintf(&b, "\nThat differs from what is wrong: %s.\n", strings.ReplaceAll(r.missed.Error(), "\n", "; "))
	}
	b.WriteString(r.extra.section(median(r.measured[doctor], wall)))
	return b.String()
}

func largeSection(runs int, gzip bool, all []result) string {
	var b strings.Builder
	compressed := "without compression"
	if gzip {
		compressed = "compressed"
	}
	fmt.Fprintf(&b, `## Large clusters

Made by `+"`make bench-scale`"+` (hack/bench): a real etcd and kube-apiserver of test/lab on the same machine (%d cores, %s), filled by test/scale
with pods of 4 to 6 KiB as JSON and three faults: kube-proxy crashes on one node, the selector of one Service has a slip, CoreDNS is killed for
want of memory. The commands run in turn, %d times after one run that warms up; the figures are medians of whole processes. The floor
(hack/bench/floor) reads the lists that check reads, as protobuf, %s, four at once, and throws the bytes away. The server is
kube-apiserver and etcd together: its CPU seconds during a run, and the most memory that each held in it, with what it had not given back
since earlier runs.
`, runtime.NumCPU(), runtime.GOOS+"/"+runtime.GOARCH, runs, compressed)
	for _, r := range all {
		b.WriteString(r.section())
	}
	if len(all) < 2 {
		return b.String()
	}
	b.WriteString("\n### Growth\n\nBytes of peak memory for each pod more:\n\n| from | to | `check --depth api` | the floor |\n|---|---|---|---|\n")
	for i := 1; i < len(all); i++ {
		fmt.Fprintf(&b, "| %d pods | %d pods | %.0f | %.0f |\n", all[i-1].size.Pods, all[i].size.Pods,
			slope(all[i-1], all[i], doctor), slope(all[i-1], all[i], floor))
	}
	return b.String()
}

// slope is how many bytes of peak memory a pod more takes.
func slope(from, to result, command int) float64 {
	grown := median(to.measured[command], memory) - median(from.measured[command], memory)
	return grown * (1 << 20) / float64(to.size.Pods-from.size.Pods)
}
