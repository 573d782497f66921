package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	kubeletYAML = "/var/lib/kubelet/config.yaml"
	stub        = "/run/systemd/resolve/stub-resolv.conf"
	servers     = "/run/systemd/resolve/resolv.conf"
	forwardFile = "/etc/sysctl.d/99-zz-netdoctor-ipv4-ip_forward.conf"
	oldNetwork  = "/etc/cni/net.d/05-old.conflist"
)

func word(text string) *string { return &text }

func said(v *string) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprintf("%q", *v)
}

// The settings of the tests, without a unit: systemd's part has tests of its own.
var (
	resolvConf = facts.Setting{Node: "quince-7", Path: kubeletYAML, Field: "resolvConf"}
	lasting    = facts.Setting{Node: "quince-7", Path: forwardFile}
	moved      = facts.Setting{Node: "quince-7", Path: oldNetwork, Moves: true}
)

// aNode makes the directories of a node; a text "-> x" is a link.
func aNode(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"/var/lib/kubelet", "/etc/sysctl.d", "/etc/cni/net.d"} {
		if err := os.MkdirAll(root+dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		err := os.MkdirAll(filepath.Dir(root+name), 0o755)
		if target, link := strings.CutPrefix(text, "-> "); link {
			err = errors.Join(err, os.Symlink(target, root+name))
		} else {
			err = errors.Join(err, os.WriteFile(root+name, []byte(text), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// everything is what a node's directories hold, with rights and owners.
func everything(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var stat unix.Stat_t
		if err := unix.Lstat(name, &stat); err != nil {
			return err
		}
		text := fmt.Sprintf("%o %d:%d ", stat.Mode, stat.Uid, stat.Gid)
		if stat.Mode&unix.S_IFMT == unix.S_IFLNK {
			target, err := os.Readlink(name)
			out[strings.TrimPrefix(name, root)] = text + "-> " + target
			return err
		}
		data, err := os.ReadFile(name)
		out[strings.TrimPrefix(name, root)] = text + string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// unchanged fails where anything of a node is not as it was.
func unchanged(t *testing.T, root string, before map[string]string) {
	t.Helper()
	after := everything(t, root)
	for name, text := range after {
		if before[name] != text {
			t.Errorf("%s is %.80q, was %.80q", name, text, before[name])
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files, were %d", len(after), len(before))
	}
}

func write(t *testing.T, root string, s facts.Setting, from, to *string) *Changed {
	t.Helper()
	return ChangeNode(t.Context(), root, Change{Setting: s.With(from), To: to, Write: true})
}

// done fails where a change was not carried out.
func done(t *testing.T, got *Changed, now *string) {
	t.Helper()
	if got.Refused != "" || got.Broken != "" || got.Differs || !facts.Same(got.Now, now) {
		t.Fatalf("got %+v with %s, want %s", got, said(got.Now), said(now))
	}
}

const aConfig = `# of the image, 2024
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration   # keep

clusterDNS: [10.96.0.10]
resolvConf: /run/systemd/resolve/stub-resolv.conf   # see ticket 12
# the end
`

// TestField sets, adds and takes out a field: every other byte stays.
func TestField(t *testing.T) {
	head := "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
	crlf := func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
	for name, tt := range map[string]struct {
		text     string
		from, to *string
		want     string
	}{
		"set":         {aConfig, word(stub), word(servers), strings.Replace(aConfig, stub, servers, 1)},
		"set to none": {aConfig, word(stub), word(""), strings.Replace(aConfig, stub, `""`, 1)},
		"added":       {head + "# x\n", nil, word(servers), head + "resolvConf: " + servers + "\n# x\n"},
		"taken out":   {head + "resolvConf: " + servers + "\n# x\n", word(servers), nil, head + "# x\n"},
		"CRLF":        {crlf(aConfig), word(stub), word(servers), crlf(strings.Replace(aConfig, stub, servers, 1))},
		"CRLF, added": {crlf(head + "# x\n"), nil, word(servers), crlf(head + "resolvConf: " + servers + "\n# x\n")},
		"without end": {head + "resolvConf: a", word("a"), word(servers), head + "resolvConf: " + servers},
	} {
		t.Run(name, func(t *testing.T) {
			root := aNode(t, map[string]string{kubeletYAML: tt.text})
			done(t, write(t, root, resolvConf, tt.from, tt.to), tt.to)
			got, err := os.ReadFile(root + kubeletYAML)
			if err != nil || string(got) != tt.want {
				t.Errorf("%v: got\n%s\nwant\n%s", err, got, tt.want)
			}
			done(t, ChangeNode(t.Context(), root, Change{Setting: resolvConf}), tt.to)
		})
	}
}

// TestUnfitFiles are refused, and nothing of them is left changed or half made.
func TestUnfitFiles(t *testing.T) {
	before := "/var/lib/kubelet/"
	for name, files := range map[string]map[string]string{
		"absent":         {},
		"a link":         {kubeletYAML: "-> other.yaml", before + "other.yaml": aConfig},
		"a link out":     {kubeletYAML: "-> ../../../../../../../../etc/hostname"},
		"a directory":    {kubeletYAML + "/x": ""},
		"too large":      {kubeletYAML: aConfig + strings.Repeat("# 0123456789\n", mostFileBytes/13)},
		"no UTF-8":       {kubeletYAML: aConfig + "# \xff\n"},
		"NUL":            {kubeletYAML: aConfig + "# \x00\n"},
		"no YAML":        {kubeletYAML: "a: [1\n"},
		"no mapping":     {kubeletYAML: "- a\n"},
		"a pod":          {kubeletYAML: "apiVersion: v1\nkind: Pod\nresolvConf: " + stub + "\n"},
		"of no text":     {kubeletYAML: "kind: KubeletConfiguration\nresolvConf: [" + stub + "]\n"},
		"in a flow":      {kubeletYAML: "{kind: KubeletConfiguration, resolvConf: " + stub + "}\n"},
		"twice":          {kubeletYAML: "kind: KubeletConfiguration\nresolvConf: a\nresolvConf: " + stub + "\n"},
		"over two lines": {kubeletYAML: "kind: KubeletConfiguration\nresolvConf: >-\n  " + stub + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			root := aNode(t, files)
			was := everything(t, root)
			if got := write(t, root, resolvConf, word(stub), word(servers)); got.Refused == "" || got.Broken != "" {
				t.Errorf("got %+v, want it refused", got)
			}
			unchanged(t, root, was)
		})
	}
}

// TestForeignFile leaves what another user owns alone.
func TestForeignFile(t *testing.T) {
	if os.Geteuid() != 0 {
		lacks(t, "root, to give a file away")
	}
	for name, id := range map[string][2]int{"user": {998, 0}, "group": {0, 998}} {
		root := aNode(t, map[string]string{kubeletYAML: aConfig})
		if err := os.Chown(root+kubeletYAML, id[0], id[1]); err != nil {
			t.Fatal(err)
		}
		was := everything(t, root)
		if got := write(t, root, resolvConf, word(stub), word(servers)); !strings.Contains(got.Refused, "no regular file of root's") {
			t.Errorf("another %s: got %+v", name, got)
		}
		unchanged(t, root, was)
	}
}

// TestRightsStay replaces files that not everybody may read, whatever the umask.
func TestRightsStay(t *testing.T) {
	for _, mode := range []os.FileMode{0o600, 0o640, 0o644, 0o666} {
		root := aNode(t, map[string]string{kubeletYAML: aConfig})
		if err := os.Chmod(root+kubeletYAML, mode); err != nil {
			t.Fatal(err)
		}
		done(t, write(t, root, resolvConf, word(stub), word(servers)), word(servers))
		info, err := os.Stat(root + kubeletYAML)
		if err != nil || info.Mode() != mode {
			t.Errorf("%v: rights %v, want %v", err, info.Mode(), mode)
		}
	}
}

// TestPartialLeft finds what a pod that was killed left, or what somebody put in its place.
func TestPartialLeft(t *testing.T) {
	partial := filepath.Dir(kubeletYAML) + "/.config.yaml.netdoctor"
	for name, left := range map[string]string{"half a file": "kind: Kube", "a link": "-> keep"} {
		root := aNode(t, map[string]string{kubeletYAML: aConfig, partial: left, "/var/lib/kubelet/keep": "keep"})
		done(t, write(t, root, resolvConf, word(stub), word(servers)), word(servers))
		all := everything(t, root)
		if len(all) != 2 || !strings.HasSuffix(all["/var/lib/kubelet/keep"], "keep") || !strings.Contains(all[kubeletYAML], servers) {
			t.Errorf("%s: %v", name, all)
		}
	}
}
