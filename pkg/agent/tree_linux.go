package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	securejoin "github.com/cyphar/filepath-securejoin"
	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"
)

// tree is a directory that links never lead out of: an absolute one begins in it again, as
// it did on the host that the directory is of.
type tree struct {
	dir   string
	whole bool // what is not in it is nowhere: of file systems of the kernel
}

// errAbsent says that it is certain that something is not there.
var errAbsent = errors.New("is not there")

// open opens a regular file, or a directory, and nothing else: a device or a pipe could do
// something, or wait, when it is opened.
func (t tree) open(name string, dir bool) (*os.File, error) {
	handle, err := pathrs.OpenInRoot(t.dir, name)
	if err != nil {
		return nil, t.explain(name, err)
	}
	defer handle.Close()
	info, err := handle.Stat()
	switch {
	case err != nil:
		return nil, t.explain(name, err)
	case dir && !info.IsDir():
		return nil, errAbsent
	case !dir && !info.Mode().IsRegular():
		return nil, errors.New("is no regular file")
	}
	file, err := pathrs.Reopen(handle, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, t.explain(name, err)
	}
	return file, nil
}

// explain makes an error of the tree one of the host. What is not there counts as absent
// only where it would be seen.
func (t tree) explain(name string, err error) error {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return err
	}
	if errno != unix.ENOENT && errno != unix.ENOTDIR {
		return errno
	}
	if t.whole {
		return errAbsent
	}
	end, err := securejoin.SecureJoin(t.dir, name)
	if err != nil {
		return errno
	}
	end = strings.TrimPrefix(end, t.dir)
	top, _, _ := strings.Cut(strings.TrimPrefix(end, "/"), "/")
	if _, err := os.Lstat(filepath.Join(t.dir, top)); err == nil {
		return errAbsent
	}
	if end != filepath.Clean(name) {
		return fmt.Errorf("leads to %s, and /%s of the host is not looked at", end, top)
	}
	return fmt.Errorf("/%s of the host is not looked at", top)
}

// read returns a file's text, up to most bytes and then up to the last whole line.
func (t tree) read(name string, most int) (text string, cut bool, err error) {
	file, err := t.open(name, false)
	if err != nil {
		return "", false, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, int64(most)+1))
	if err != nil {
		return "", false, t.explain(name, err)
	}
	if cut = len(data) > most; cut {
		data = data[:strings.LastIndexByte(string(data[:most]), '\n')+1]
	}
	if text = string(data); !utf8.ValidString(text) || strings.Contains(text, "\x00") {
		return "", false, errors.New("is no text")
	}
	return text, cut, nil
}

// names returns what a directory holds, sorted; more tells that it holds more than is
// looked through.
func (t tree) names(dir string) (names []string, more bool, err error) {
	file, err := t.open(dir, true)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	names, err = file.Readdirnames(mostDirNames + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, t.explain(dir, err)
	}
	slices.Sort(names)
	return names, len(names) > mostDirNames, nil
}

// list writes what a directory holds as package host documents it; more tells that some
// is left out.
func (t tree) list(dir string) (text string, more bool, err error) {
	names, more, err := t.names(dir)
	if err != nil {
		return "", false, err
	}
	file, err := t.open(dir, true)
	if err != nil {
		return "", false, err
	}
	defer file.Close()
	var out strings.Builder
	for _, name := range names[:min(len(names), mostDirFiles)] {
		if line := listLine(int(file.Fd()), name); line != "" {
			out.WriteString(line + "\n")
		}
	}
	return out.String(), more || len(names) > mostDirFiles, nil
}

// listLine is "" where the name is gone again.
func listLine(dir int, name string) string {
	var stat unix.Stat_t
	if err := unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return ""
	}
	line := fmt.Sprintf("%s %d %s", listType(stat.Mode), stat.Size, printable(name))
	if stat.Mode&unix.S_IFMT == unix.S_IFLNK {
		target, err := readlink(dir, name)
		if err != nil {
			return ""
		}
		line += " -> " + printable(target)
	}
	return line
}

func listType(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "-"
	case unix.S_IFDIR:
		return "d"
	case unix.S_IFLNK:
		return "l"
	}
	return "?"
}

func readlink(dir int, name string) (string, error) {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, target)
	return string(target[:max(n, 0)]), err
}

// link returns where a symbolic link leads, as it is written there.
func (t tree) link(name string) (string, error) {
	dir, err := t.open(filepath.Dir(name), true)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	target, err := readlink(int(dir.Fd()), filepath.Base(name))
	switch {
	case errors.Is(err, unix.EINVAL): // no link
		return "", errAbsent
	case err != nil:
		return "", t.explain(name, err)
	}
	return printable(target) + "\n", nil
}
