// Command bench measures check against a real API server, in turn with what else could
// be done with the same server, and writes what it measured: on a usual cluster with
// `kubectl get`, and with -sizes on large ones with the floor, which is to read the same
// and do nothing with it. Times are of whole processes, memory is their largest resident
// set, both as Linux accounts them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
)

type options struct {
	write, doctor string
	runs          int
	sizes         []int
	gzip          bool
	checks        int
}

func main() {
	var o options
	flag.StringVar(&o.write, "write", "", "page to write the section into; stdout without it")
	flag.StringVar(&o.doctor, "doctor", "bin/kubectl-netdoctor", "the `program` to measure")
	flag.IntVar(&o.runs, "runs", 5, "counted runs of each command, after one that warms up")
	flag.BoolVar(&o.gzip, "gzip", false, "with -sizes: let the API server compress what the floor reads")
	flag.IntVar(&o.checks, "checks", 0, "measure every check by itself on a cluster of so many `pods` in memory")
	flag.Func("sizes", "measure large clusters: comma-separated `numbers` of pods", func(list string) error {
		for _, text := range strings.Split(list, ",") {
			n, err := strconv.Atoi(text)
			if err != nil {
				return err
			}
			o.sizes = append(o.sizes, n)
		}
		return nil
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.runs < 1 {
		return errors.New("-runs must be at least 1")
	}
	if o.checks > 0 {
		section, err := eachCheck(o.checks, o.runs)
		if err != nil {
			return err
		}
		return put(o.write, "make bench-checks", section)
	}
	doctor, err := filepath.Abs(o.doctor)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "netdoctor-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := build(dir, doctor)
	if err != nil {
		return err
	}
	if len(o.sizes) == 0 {
		section, err := small(ctx, p, o.runs)
		if err != nil {
			return err
		}
		return put(o.write, "make bench", section)
	}
	section, missed := large(ctx, p, o.runs, o.gzip, o.sizes)
	if section == "" {
		return missed
	}
	return errors.Join(put(o.write, "make bench-scale", section), missed)
}
