package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/wait"
)

// cache keeps one directory for each build. A directory gets its final name
// only when it is complete, so whatever has that name can be used.
type cache struct {
	root string
	// fill builds into dir, which exists and is empty.
	fill func(ctx context.Context, dir string) error
}

// dir returns the directory of the build for key and has it built first if it
// is missing. Any number of processes may call it at once.
func (c cache) dir(ctx context.Context, key string) (string, error) {
	final := filepath.Join(c.root, key)
	if isDir(final) {
		return final, nil
	}
	if err := os.MkdirAll(c.root, 0o755); err != nil {
		return "", fmt.Errorf("creating the cache: %w", err)
	}
	unlock, err := Lock(ctx, final+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if isDir(final) {
		return final, nil // built by the process that held the lock before
	}
	partial := final + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return "", fmt.Errorf("removing an interrupted build: %w", err)
	}
	if err := os.Mkdir(partial, 0o755); err != nil {
		return "", fmt.Errorf("creating the build directory: %w", err)
	}
	if err := c.fill(ctx, partial); err != nil {
		return "", err
	}
	if err := os.Rename(partial, final); err != nil {
		return "", fmt.Errorf("publishing the build: %w", err)
	}
	return final, nil
}

// Lock waits for the exclusive lock on path, which the kernel releases when the
// process ends. The file stays: removing it would let two processes lock
// different files of the same name.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	// A blocking flock could not be interrupted, and a build lasts minutes.
	err = wait.Until(ctx, func() error {
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
