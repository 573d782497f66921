package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/yamlline"
)

// errDiffers says that a setting was changed since it was read.
var errDiffers = errors.New("it was changed in the meantime")

// set makes a setting that is one value another one; back undoes it. Where there is an error,
// nothing was written.
func (n node) set(s facts.Setting, from, to *string) (back func() error, err error) {
	dir, err := n.tree().open(filepath.Dir(s.Path), true)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Dir(s.Path), err)
	}
	defer dir.Close()
	back = func() error {
		_, err := n.set(s, to, from)
		return err
	}
	at, name := int(dir.Fd()), filepath.Base(s.Path)
	switch {
	case s.Moves && (from == nil || to == nil):
		err = errAbsent
	case s.Moves:
		err = unix.Renameat2(at, filepath.Base(*from), at, filepath.Base(*to), unix.RENAME_NOREPLACE)
	case strings.HasPrefix(s.Path, "/proc/"):
		err = writeSysctl(at, name, to)
	case s.Field != "":
		var was, is string
		if was, is, err = n.edited(s, from, to); err == nil {
			err = replaceFile(at, name, is, true)
		}
		back = func() error { return n.unedit(s, from, to, was, is) }
	case to == nil:
		err = unix.Unlinkat(at, name, 0)
	default:
		err = replaceFile(at, name, *to, from != nil)
	}
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", s.Path, err)
	}
	_ = dir.Sync() // what was written stands; directories of /proc have no disk
	return back, nil
}

// edited returns a file as it is and with another value of its field.
func (n node) edited(s facts.Setting, from, to *string) (was, is string, err error) {
	if was, err = n.whole(s.Path); err != nil {
		return "", "", err
	}
	now, err := fieldOf(was, s)
	if err == nil && !facts.Same(now, from) {
		err = errDiffers
	}
	if err != nil {
		return "", "", err
	}
	if to == nil {
		is, err = yamlline.Drop(was, s.Field)
	} else {
		is, err = yamlline.Set(was, *to, s.Field)
	}
	return was, is, err
}

// unedit takes an edit of a field back, to the byte where nobody has changed the file since.
func (n node) unedit(s facts.Setting, from, to *string, was, is string) error {
	if now, err := n.whole(s.Path); err != nil || now != is {
		_, err := n.set(s, to, from)
		return err
	}
	dir, err := n.tree().open(filepath.Dir(s.Path), true)
	if err != nil {
		return err
	}
	defer dir.Close()
	return replaceFile(int(dir.Fd()), filepath.Base(s.Path), was, true)
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
// there. A link, or what the caller does not own, which is root, is left to whoever made it.
func replaceFile(dir int, name, text string, was bool) error {
	mode, label := uint32(0o644), ""
	if was {
		var stat unix.Stat_t
		if err := unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFREG || int(stat.Uid) != os.Geteuid() || int(stat.Gid) != os.Getegid() {
			return errors.New("it is no regular file of root's")
		}
		mode, label = stat.Mode&0o777, labelOf(dir, name)
	}
	// A leftover of a pod that was killed goes; one that leads elsewhere is not written through.
	partial := "." + name + ".netdoctor"
	if err := unix.Unlinkat(dir, partial, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	fd, err := unix.Openat(dir, partial, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), partial)
	_, err = file.WriteString(text)
	if label != "" {
		err = errors.Join(err, relabel(fd, label))
	}
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

// selinux is the attribute that holds a file's label: a new file gets its directory's, with
// which its program may not be let read it.
const selinux = "security.selinux"

// relabel gives a file a label. A kernel without SELinux may refuse that, and does not look
// at one.
func relabel(fd int, label string) error {
	err := unix.Fsetxattr(fd, selinux, []byte(label), 0)
	own, _ := os.ReadFile("/proc/self/attr/current") // of SELinux: USER:ROLE:TYPE:LEVEL
	if err == nil || strings.Count(string(own), ":") < 3 {
		return nil
	}
	return fmt.Errorf("giving it the label of SELinux that it had: %w", err)
}

// labelOf is "" where there is none.
func labelOf(dir int, name string) string {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer func() { _ = unix.Close(fd) }()
	label := make([]byte, 256)
	n, err := unix.Fgetxattr(fd, selinux, label)
	if err != nil {
		return ""
	}
	return string(label[:n])
}
