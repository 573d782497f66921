package faults

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// sh runs a script on a node; its arguments are $1 and so on.
func sh(ctx context.Context, lab Lab, node, script string, args ...string) (string, error) {
	return lab.Exec(ctx, node, append([]string{"sh", "-ec", script, "sh"}, args...)...)
}

// aside is where a node keeps the original of a file that a fault changed.
const aside = ".before-fault"

// setAside moves a file out of the way, and does nothing where it did before.
func setAside(ctx context.Context, lab Lab, node, path string) error {
	_, err := sh(ctx, lab, node, `[ -e "$1$2" ] || mv "$1" "$1$2"`, path, aside)
	return err
}

// putBack undoes setAside and overwrite.
func putBack(ctx context.Context, lab Lab, node, path string) error {
	_, err := sh(ctx, lab, node, `[ ! -e "$1$2" ] || mv "$1$2" "$1"`, path, aside)
	return err
}

// overwrite gives a file other content and keeps the original. The file stays
// the same one, since something may be mounted on it.
func overwrite(ctx context.Context, lab Lab, node, path, content string) error {
	_, err := sh(ctx, lab, node, `[ -e "$1$2" ] || cp -p "$1" "$1$2"; printf %s "$3" > "$1"`, path, aside, content)
	return err
}

// kubeletConfig returns the file that the kubelet of a node was told to read.
func kubeletConfig(ctx context.Context, lab Lab, node string) (string, error) {
	out, err := sh(ctx, lab, node, `for f in /proc/[0-9]*/cmdline; do
	tr '\0' '\n' < "$f" 2>/dev/null | { read -r exe || continue; case "$exe" in kubelet|*/kubelet) sed -n 's/^--config=//p';; esac; } || true
done`)
	if err != nil {
		return "", err
	}
	path, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	if path == "" {
		return "", fmt.Errorf("no kubelet with --config runs on node %s", node)
	}
	return path, nil
}

// configureKubelet changes a field of a kubelet's configuration and restarts
// it.
func configureKubelet(ctx context.Context, lab Lab, node, field string, value any) error {
	path, err := kubeletConfig(ctx, lab, node)
	if err != nil {
		return err
	}
	text, err := sh(ctx, lab, node, `cat "$1"`, path)
	if err != nil {
		return err
	}
	config := object{}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	config[field] = value
	changed, err := yaml.Marshal(config)
	if err != nil {
		return err
	}
	if err := overwrite(ctx, lab, node, path, string(changed)); err != nil {
		return err
	}
	return lab.Service(ctx, node, "kubelet", "restart")
}

// mendKubelet undoes configureKubelet.
func mendKubelet(ctx context.Context, lab Lab, node string) error {
	path, err := kubeletConfig(ctx, lab, node)
	if err != nil {
		return err
	}
	if err := putBack(ctx, lab, node, path); err != nil {
		return err
	}
	return lab.Service(ctx, node, "kubelet", "restart")
}

// configz is nil once a kubelet runs with a value of its configuration.
func configz(ctx context.Context, lab Lab, node, want string) error {
	out, err := lab.Kubectl(ctx, "", "get", "--raw", "/api/v1/nodes/"+node+"/proxy/configz")
	if err != nil {
		return err
	}
	if !strings.Contains(out, want) {
		return fmt.Errorf("the kubelet of node %s does not run with %s yet", node, want)
	}
	return nil
}

// connect opens a TCP connection from a machine of the lab.
func connect(ctx context.Context, lab Lab, from, host, port string) error {
	_, err := lab.Exec(ctx, from, "timeout", "2", "bash", "-c", `exec 3<>"/dev/tcp/$0/$1"`, host, port)
	return err
}
