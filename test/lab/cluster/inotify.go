package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/build"
)

// inotifyLimit is how many inotify instances one user may hold, in all namespaces.
const inotifyLimit = "/proc/sys/fs/inotify/max_user_instances"

// inotifyWanted suffices for a dozen labs. The kernel's default of 128 is used up by the
// kubelets, containerds and kube-proxies of six, whose kubelets then start and never
// register ("couldn't initialize inotify: too many open files").
const inotifyWanted = 1024

// raiseInotify lifts the kernel's limit while labs run, and notes what it was before.
func raiseInotify(ctx context.Context) error {
	note, unlock, err := inotifyNote(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	before, err := readNumber(inotifyLimit)
	if err != nil || before >= inotifyWanted {
		return err
	}
	if err := os.WriteFile(note, []byte(strconv.Itoa(before)), 0o600); err != nil {
		return fmt.Errorf("noting the limit of inotify instances: %w", err)
	}
	return setInotify(inotifyWanted)
}

// restoreInotify sets the limit back once no lab is left, unless somebody else has set
// it meanwhile.
func restoreInotify(ctx context.Context) error {
	note, unlock, err := inotifyNote(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	labs, err := filepath.Glob(filepath.Join(filepath.Dir(note), "labs", "*", "lab.json"))
	if err != nil || len(labs) > 0 {
		return err
	}
	before, err := readNumber(note)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if now, err := readNumber(inotifyLimit); err != nil || now != inotifyWanted {
		return errors.Join(err, os.Remove(note))
	}
	return errors.Join(setInotify(before), os.Remove(note))
}

func setInotify(n int) error {
	if err := os.WriteFile(inotifyLimit, []byte(strconv.Itoa(n)), 0o644); err != nil {
		return fmt.Errorf("setting the limit of inotify instances: %w", err)
	}
	return nil
}

// inotifyNote returns where the limit that was found is noted, locked against other labs.
func inotifyNote(ctx context.Context) (path string, unlock func(), err error) {
	cache, err := build.Cache()
	if err != nil {
		return "", nil, err
	}
	unlock, err = build.Lock(ctx, filepath.Join(cache, "inotify.lock"))
	return filepath.Join(cache, "inotify.before"), unlock, err
}

func readNumber(file string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s holds no number: %w", file, err)
	}
	return n, nil
}
