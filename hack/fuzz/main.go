// Command fuzz runs every fuzz target of the module for a while, some at a time, and prints
// a line for each. It fails where one does, with the input that made it. Inputs that are
// worth keeping go into Go's own cache, those that fail into testdata/fuzz of the package.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

func main() {
	each := flag.Duration("time", time.Minute, "how long each target runs")
	atOnce := flag.Int("at", 2, "how many run at once: each is one process that fuzzes, and one that waits for it")
	only := flag.String("only", "", "run the targets whose names match the `pattern`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *each, max(1, *atOnce), *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, each time.Duration, atOnce int, only string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	list, err := targets(ctx, "./...", wanted)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errors.New("there is no such target")
	}
	dir, err := os.MkdirTemp("", "netdoctor-fuzz-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	begin := time.Now()
	built, err := build(ctx, dir, list)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "targets: %d, packages: %d, built in %s\n", len(list), len(built.programs), time.Since(begin).Round(time.Second))
	return fuzz(ctx, out, built, list, each, atOnce)
}

// fuzz runs the targets and tells of each when it ends. A failure stops no other target.
func fuzz(ctx context.Context, out io.Writer, built programs, list []target, each time.Duration, atOnce int) error {
	var (
		mu     sync.Mutex
		failed int
		wg     sync.WaitGroup
		queue  = make(chan target)
	)
	for range atOnce {
		wg.Go(func() {
			for t := range queue {
				text, err := built.fuzz(ctx, t, each)
				line := told(t, text, err)
				mu.Lock()
				fmt.Fprint(out, line)
				if err != nil {
					failed++
				}
				mu.Unlock()
			}
		})
	}
	for _, t := range list {
		if ctx.Err() == nil {
			queue <- t
		}
	}
	close(queue)
	wg.Wait()
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case failed > 0:
		return fmt.Errorf("%d of %d targets failed", failed, len(list))
	}
	return nil
}

// in tells where a file is from here, for somebody to open it.
func in(file string) string {
	here, err := os.Getwd()
	if err != nil {
		return file
	}
	if rel, err := filepath.Rel(here, file); err == nil {
		return rel
	}
	return file
}
