package image

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// findProgram looks in the directories of administrators too, which a user's
// PATH may lack.
func findProgram(name string) (string, error) {
	if found, err := exec.LookPath(name); err == nil {
		return found, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}

// staticBusyBox returns the machine's busybox if it runs without libraries.
func staticBusyBox() (string, error) {
	program, err := exec.LookPath("busybox")
	if err != nil {
		return "", err
	}
	file, err := os.Open(program)
	if err != nil {
		return "", err
	}
	defer file.Close()
	f, err := elf.NewFile(file)
	if err != nil {
		return "", err
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", fmt.Errorf("%s needs shared libraries", program)
		}
	}
	return program, nil
}

// busyBoxIn returns the machine's static busybox, or fetches Debian's into dir
// without installing it.
func busyBoxIn(ctx context.Context, dir string) (string, error) {
	installed, err := staticBusyBox()
	if err == nil {
		return installed, nil
	}
	// apt drops to a user of its own where it may not write as root.
	if err := run(ctx, dir, "apt-get", "-o", "APT::Sandbox::User=root", "download", "busybox-static"); err != nil {
		return "", err
	}
	packages, err := fs.Glob(os.DirFS(dir), "busybox-static*.deb")
	if err != nil || len(packages) != 1 {
		return "", fmt.Errorf("apt-get download left %d packages", len(packages))
	}
	if err := run(ctx, dir, "dpkg", "-x", packages[0], "busybox-static"); err != nil {
		return "", err
	}
	for _, name := range []string{"bin/busybox", "usr/bin/busybox"} {
		program := filepath.Join(dir, "busybox-static", name)
		if _, err := os.Stat(program); err == nil {
			return program, nil
		}
	}
	return "", errors.New("no busybox in the package busybox-static")
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// merged returns where a file of /lib or the like lies in a system whose /lib
// is a link to /usr/lib.
func merged(file string) string {
	if strings.HasPrefix(file, "/lib") || strings.HasPrefix(file, "/sbin/") || strings.HasPrefix(file, "/bin/") {
		return "/usr" + file
	}
	return file
}

// librariesOf returns the shared libraries of ELF files and their loader.
func librariesOf(ctx context.Context, files []string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "ldd", files...).Output()
	if err != nil {
		return nil, fmt.Errorf("ldd: %w", err)
	}
	var libraries []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "not found") {
			return nil, fmt.Errorf("ldd: %s", strings.TrimSpace(line))
		}
		_, resolved, found := strings.Cut(line, "=>")
		if !found {
			resolved = line // the loader, or the name of a file
		}
		fields := strings.Fields(resolved)
		if len(fields) == 2 && filepath.IsAbs(fields[0]) {
			libraries = append(libraries, fields[0])
		}
	}
	slices.Sort(libraries)
	return slices.Compact(libraries), nil
}
