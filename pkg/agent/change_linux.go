package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/yamlline"
)

// ChangeNode reads or writes one setting of the node whose directories stand below root. It
// writes only over the value that the change names, each file in one step, and restarts the
// setting's unit. Where that one does not stay up, everything is put back.
func ChangeNode(ctx context.Context, root string, c Change) *Changed {
	n := node{root: root}
	now, err := n.value(c.Setting)
	if err != nil {
		return &Changed{Refused: err.Error()}
	}
	if c.Setting.Unit != "" {
		if err := n.unitRuns(ctx, c.Setting.Unit); err != nil {
			return &Changed{Now: now, Refused: err.Error()}
		}
	}
	if !c.Write {
		return &Changed{Now: now}
	}
	if !facts.Same(now, c.Setting.Value) {
		return &Changed{Now: now, Differs: true}
	}
	if err := n.set(c.Setting, now, c.To); err != nil {
		return &Changed{Now: now, Refused: err.Error()}
	}
	if c.Setting.Unit == "" {
		return &Changed{Now: c.To}
	}
	failed := n.restart(ctx, c.Setting.Unit)
	if failed == nil {
		return &Changed{Now: c.To}
	}
	why := fmt.Sprintf("%s did not stay up with it: %v", c.Setting.Unit, failed)
	back := n.set(c.Setting, c.To, now)
	if back == nil {
		back = n.restart(context.WithoutCancel(ctx), c.Setting.Unit)
	}
	if back != nil {
		return &Changed{Now: c.To, Broken: fmt.Sprintf("%s; and it could not be put back: %v", why, back)}
	}
	return &Changed{Now: now, Refused: why + "; it was put back"}
}

// node is the machine whose directories stand below a root.
type node struct{ root string }

func (n node) tree() tree { return tree{dir: n.root} }

// value returns a setting's value, nil where it is not there.
func (n node) value(s facts.Setting) (*string, error) {
	if s.Moves {
		return n.placeOf(s)
	}
	text, err := n.whole(s.Path)
	if errors.Is(err, errAbsent) && s.Field == "" {
		return nil, nil
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", s.Path, err)
	case s.Field != "":
		return fieldOf(text, s)
	case strings.HasPrefix(s.Path, "/proc/"):
		text = strings.TrimSpace(text)
	}
	return &text, nil
}

// whole reads a file that is to be written: one that was cut off must not be.
func (n node) whole(name string) (string, error) {
	text, cut, err := n.tree().read(name, mostFileBytes)
	if err == nil && cut {
		err = fmt.Errorf("is larger than %d KiB", mostFileBytes>>10)
	}
	return text, err
}

func fieldOf(text string, s facts.Setting) (*string, error) {
	var fields map[string]any
	if err := yaml.Unmarshal([]byte(text), &fields); err != nil || fields == nil {
		return nil, fmt.Errorf("%s is no mapping of YAML", s.Path)
	}
	switch v := fields[s.Field].(type) {
	case nil:
		return nil, nil
	case string:
		return &v, nil
	}
	return nil, fmt.Errorf("%s of %s is no text", s.Field, s.Path)
}

// placeOf tells where a file lies that may have been moved aside.
func (n node) placeOf(s facts.Setting) (*string, error) {
	var found []string
	for _, name := range []string{s.Path, s.Aside()} {
		file, err := n.tree().open(name, false)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		file.Close()
		found = append(found, name)
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return &found[0], nil
	}
	return nil, fmt.Errorf("both %s and %s are there", s.Path, s.Aside())
}

// set makes a setting that is one value another one.
func (n node) set(s facts.Setting, from, to *string) error {
	dir, err := n.tree().open(filepath.Dir(s.Path), true)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Dir(s.Path), err)
	}
	defer dir.Close()
	at, name := int(dir.Fd()), filepath.Base(s.Path)
	switch {
	case s.Moves && (from == nil || to == nil):
		return fmt.Errorf("%s: %w", s.Path, errAbsent)
	case s.Moves:
		err = unix.Renameat2(at, filepath.Base(*from), at, filepath.Base(*to), unix.RENAME_NOREPLACE)
	case strings.HasPrefix(s.Path, "/proc/"):
		err = writeSysctl(at, name, to)
	case s.Field != "":
		var text string
		if text, err = n.edited(s, to); err == nil {
			err = replaceFile(at, name, text, true)
		}
	case to == nil:
		err = unix.Unlinkat(at, name, 0)
	default:
		err = replaceFile(at, name, *to, from != nil)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", s.Path, err)
	}
	return dir.Sync()
}

func (n node) edited(s facts.Setting, to *string) (string, error) {
	text, err := n.whole(s.Path)
	if err != nil {
		return "", err
	}
	if to == nil {
		return yamlline.Drop(text, s.Field)
	}
	return yamlline.Set(text, *to, s.Field)
}

func writeSysctl(dir int, name string, to *string) error {
	if to == nil {
		return errors.New("a sysctl cannot be removed")
	}
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), name)
	_, err = file.WriteString(*to + "\n")
	return errors.Join(err, file.Close())
}

// replaceFile puts a text in a file's place in one step, with the rights of the one that was
// there. What root does not own, or a link, is left to whoever made it.
func replaceFile(dir int, name, text string, was bool) error {
	mode := uint32(0o644)
	if was {
		var stat unix.Stat_t
		if err := unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Uid != 0 || stat.Gid != 0 {
			return errors.New("it is no regular file of root's")
		}
		mode = stat.Mode & 0o777
	}
	partial := "." + name + ".netdoctor"
	fd, err := unix.Openat(dir, partial, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), partial)
	_, err = file.WriteString(text)
	err = errors.Join(err, file.Chmod(os.FileMode(mode)), file.Sync(), file.Close())
	switch {
	case err != nil:
	case was:
		err = unix.Renameat(dir, partial, dir, name)
	default:
		err = unix.Renameat2(dir, partial, dir, name, unix.RENAME_NOREPLACE)
	}
	if err != nil {
		_ = unix.Unlinkat(dir, partial, 0) // the error that counts is the first
	}
	return err
}
