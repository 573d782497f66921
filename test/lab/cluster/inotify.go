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

// inotifyWanted suffices for a dozen labs. The kernel's default of 128 is used up by the
// kubelets, containerds and kube-proxies of six, whose kubelets then start and never
// register ("couldn't initialize inotify: too many open files").
const inotifyWanted = 1024

// inotify is the kernel's limit of inotify instances for each user, in all namespaces.
// It is higher while labs run.
type inotify struct {
	limit string // the file that the kernel keeps it in
	note  string // where the one that was found is noted meanwhile
	labs  string // directory of the labs that there are
}

// lockInotify gives the limit to one lab at a time.
func lockInotify(ctx context.Context) (inotify, func(), error) {
	cache, err := build.Cache()
	if err != nil {
		return inotify{}, nil, err
	}
	unlock, err := build.Lock(ctx, filepath.Join(cache, "inotify.lock"))
	return inotify{
		limit: "/proc/sys/fs/inotify/max_user_instances",
		note:  filepath.Join(cache, "inotify.before"), labs: filepath.Join(cache, "labs"),
	}, unlock, err
}

func raiseInotify(ctx context.Context) error {
	i, unlock, err := lockInotify(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return i.raise()
}

func restoreInotify(ctx context.Context) error {
	i, unlock, err := lockInotify(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return i.restore()
}

func (i inotify) raise() error {
	before, err := readNumber(i.limit)
	if err != nil || before >= inotifyWanted {
		return err
	}
	if err := os.WriteFile(i.note, []byte(strconv.Itoa(before)), 0o600); err != nil {
		return fmt.Errorf("noting the limit of inotify instances: %w", err)
	}
	return i.set(inotifyWanted)
}

// restore sets the limit back once no lab is left, unless somebody else has set it
// meanwhile.
func (i inotify) restore() error {
	labs, err := filepath.Glob(filepath.Join(i.labs, "*", "lab.json"))
	if err != nil || len(labs) > 0 {
		return err
	}
	before, err := readNumber(i.note)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if now, err := readNumber(i.limit); err != nil || now != inotifyWanted {
		return errors.Join(err, os.Remove(i.note))
	}
	return errors.Join(i.set(before), os.Remove(i.note))
}

func (i inotify) set(n int) error {
	if err := os.WriteFile(i.limit, []byte(strconv.Itoa(n)), 0o644); err != nil {
		return fmt.Errorf("setting the limit of inotify instances: %w", err)
	}
	return nil
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
