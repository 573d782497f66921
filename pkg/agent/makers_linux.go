package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// maker brings what is no file of the host, under the names of kernelReads.
type maker struct {
	names []string
	make  func() (files, gaps map[string]string)
}

func (v *visit) makers() []maker {
	opts, root, proc := v.opts, v.trees[fromRoot], v.trees[fromProc]
	return []maker{
		{[]string{addrFile, routeFile, ruleFile, neighFile, fdbFile}, linkFiles},
		{[]string{listenFile}, one(listenFile, func() (string, error) { return listening(proc) })},
		{[]string{kubeletFile}, one(kubeletFile, func() (string, error) { return kubeletCmdline(root) })},
		{[]string{machineFile}, one(machineFile, func() (string, error) { return machineHash(root) })},
		{[]string{dmesgFile}, one(dmesgFile, kernelMessages)},
		{append(filterFiles(), host.ServiceRules), func() (files, gaps map[string]string) { return netfilterFiles(filepath.Join(opts.Proc, "net")) }},
	}
}

// one is the make of one file: a text, errAbsent, or why it could not be read. A text
// beside an error is a part.
func one(name string, read func() (string, error)) func() (files, gaps map[string]string) {
	return func() (files, gaps map[string]string) {
		files, gaps = map[string]string{}, map[string]string{}
		text, err := read()
		if err != nil && !errors.Is(err, errAbsent) {
			gaps[name] = err.Error()
		}
		if err == nil || text != "" {
			files[name] = text
		}
		return files, gaps
	}
}

func (v *visit) make(ctx context.Context, m maker) {
	type answer struct{ files, gaps map[string]string }
	a, err := await(ctx, makeTime, func() (a answer, err error) {
		a.files, a.gaps = m.make()
		return a, nil
	})
	if err != nil {
		for _, name := range m.names {
			v.gaps[name] = err.Error()
		}
	}
	names := make([]string, 0, len(a.files))
	for name := range a.files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		v.add(name, a.files[name])
	}
	for name, why := range a.gaps {
		v.gaps[name] = why
	}
	v.asked = append(v.asked, m.names...)
}

// machineHash tells machines apart without telling their ID, which other programs treat
// as a secret.
func machineHash(root tree) (string, error) {
	text, _, err := root.read("/etc/machine-id", 1<<10)
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(text)
	if id == "" || id == "uninitialized" {
		return "", errors.New("/etc/machine-id holds no ID")
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8]) + "\n", nil
}

// Of klogctl(2).
const (
	syslogReadAll    = 3
	syslogSizeBuffer = 10
	mostKernelBuffer = 16 << 20
)

// kernelMessages reads the ring buffer of the kernel, and leaves it as it is.
func kernelMessages() (string, error) {
	var buffer []byte
	n, err := unix.Klogctl(syslogSizeBuffer, nil)
	if err == nil {
		buffer = make([]byte, min(max(n, 64<<10), mostKernelBuffer))
		n, err = unix.Klogctl(syslogReadAll, buffer)
	}
	if errors.Is(err, unix.EPERM) {
		return "", errors.New("takes the capability SYSLOG")
	}
	if err != nil {
		return "", err
	}
	return kernelLines(string(buffer[:n])), nil
}
