package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// madeUp makes a host and a kernel's files that are made up: "/x" and "/p/x" become
// regular files, "-> target" links.
func madeUp(t *testing.T, files map[string]string) HostOptions {
	t.Helper()
	dir := t.TempDir()
	opts := HostOptions{Node: "quince-7", Root: dir + "/root", Proc: dir + "/own/proc", Sys: dir + "/own/sys"}
	for _, name := range []string{"/root/etc", "/root/run", "/root/opt", "/root/proc", "/own/proc", "/own/sys"} {
		if err := os.MkdirAll(dir+name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		writeHost(t, dir, name, text)
	}
	return opts
}

func writeHost(t *testing.T, dir, name, text string) {
	t.Helper()
	if !strings.HasPrefix(name, "/own/") {
		name = "/root" + name
	}
	err := os.MkdirAll(filepath.Dir(dir+name), 0o755)
	if target, link := strings.CutPrefix(text, "-> "); link {
		err = errors.Join(err, os.Symlink(target, dir+name))
	} else {
		err = errors.Join(err, os.WriteFile(dir+name, []byte(text), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// onHost are the files that came from the made-up host: what the machine of the test says
// of itself is left out.
func onHost(files map[string]string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !slices.Contains([]string{addrFile, routeFile, ruleFile, neighFile, fdbFile, dmesgFile, host.Asked}, name) && !strings.Contains(name, "tables") &&
			!strings.HasPrefix(name, "/nft-") && name != host.ServiceRules {
			out = append(out, name)
		}
	}
	return out
}

func wantNames(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(want)
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("%s:\ngot:\n%s\nwant:\n%s", what, g, w)
	}
}

func viewOf(r *Result) host.View {
	s := &facts.Snapshot{Files: map[string]map[string]string{r.Node: r.Files}, Gaps: map[string]string{}}
	for name, why := range r.Gaps {
		s.Gaps[facts.Files.Name+"/"+r.Node+name] = why
	}
	return host.Of(s, r.Node)
}

func TestHost(t *testing.T) {
	files := map[string]string{
		"/etc/resolv.conf":                          "-> /run/systemd/resolve/stub-resolv.conf",
		"/run/systemd/resolve/stub-resolv.conf":     "nameserver 127.0.0.53\n",
		"/run/systemd/resolve/resolv.conf":          "nameserver 192.0.2.53\n",
		"/etc/plum-resolv.conf":                     "nameserver 192.0.2.54\nplum:$6$quince:1::\n",
		"/etc/fig-resolv.conf":                      "nameserver 192.0.2.55\n",
		"/etc/containerd/config.toml":               "imports = [\"more/*.toml\"]\n[a.registry.auth]\npassword = \"quince\"\n",
		"/etc/containerd/more/9.toml":               "conf_dir = \"/etc/plum/net.d\"\nbin_dirs = [\"/opt/fig\", \"/usr/lib/cni\"]\nidentitytoken = \"quince\"\n",
		"/etc/containerd/more/9.bak":                "conf_dir = \"/etc/never\"\n",
		"/etc/cni/net.d/10-old.conf":                `{"name":"old","token":"quince"}`,
		"/etc/plum/net.d/10-plum.conflist":          `{"plugins":[`,
		"/etc/plum/net.d/plum-kubeconfig":           "token: quince\n",
		"/etc/plum/net.d/kubeconfig.json":           `{"token":"quince"}`,
		"/etc/plum/net.d/20-fig.conf.disabled":      "{}",
		"/opt/fig/bridge":                           "\x7fELF",
		"/opt/fig/flannel":                          "-> bridge",
		"/etc/default/kubelet":                      "KUBELET_EXTRA_ARGS=--token=quince --v=2\n",
		"/etc/kubelet.yaml":                         "resolvConf: /etc/plum-resolv.conf\nstaticPodURLHeader:\n  Authorization: [quince]\n",
		"/etc/machine-id":                           "quince0123456789quince0123456789\n",
		"/etc/shadow":                               "root:quince\n",
		"/proc/1/status":                            "Name:\tsystemd\nNSpid:\t1\n",
		"/proc/77/status":                           "Name:\tkubelet\nNSpid:\t77\t5\n",
		"/proc/77/cmdline":                          "kubelet\x00--config=/etc/shadow\x00",
		"/proc/812/status":                          "Name:\tkubelet\nNSpid:\t812\n",
		"/proc/812/cmdline":                         "/usr/bin/kubelet\x00--config\x00/etc/kubelet.yaml\x00--bootstrap-token\x00quince\x00--v=2\x00",
		"/own/proc/sys/net/ipv4/ip_forward":         "0\n",
		"/own/proc/sys/net/ipv4/conf/all/rp_filter": "1\n",
		"/own/proc/modules":                         "br_netfilter 1 0\n",
		"/own/proc/net":                             "-> self/net",
		"/own/proc/self/net/tcp":                    "sl\n0: 00000000:2810 00000000:0000 0A\n",
		"/own/proc/self/net/udp":                    "sl\n",
	}
	opts := madeUp(t, files)
	opts.ResolvConf = []string{"/etc/fig-resolv.conf", "/var/lib/fig.conf"}
	r := Host(t.Context(), opts)
	wantNames(t, "files", onHost(r.Files), []string{
		"/etc/resolv.conf", "/link/etc/resolv.conf", "/run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve/resolv.conf",
		"/etc/plum-resolv.conf", "/etc/fig-resolv.conf", "/etc/containerd/config.toml", "/etc/containerd/more/9.toml", "/etc/cni/net.d/10-old.conf",
		"/etc/plum/net.d/10-plum.conflist", "/ls/etc/cni/net.d", "/ls/etc/plum/net.d", "/ls/opt/fig", "/etc/default/kubelet", "/etc/kubelet.yaml",
		"/machine-id-hash", "/kubelet-cmdline", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/all/rp_filter", "/proc/modules", "/ss-listen",
	})
	for name, want := range map[string]string{
		"/etc/resolv.conf":                 "nameserver 127.0.0.53\n",
		"/link/etc/resolv.conf":            "/run/systemd/resolve/stub-resolv.conf\n",
		"/etc/plum-resolv.conf":            "nameserver 192.0.2.54\n",
		"/etc/kubelet.yaml":                "resolvConf: /etc/plum-resolv.conf\n",
		"/etc/plum/net.d/10-plum.conflist": `{"plugins":[`,
		"/ls/opt/fig":                      "- 4 bridge\nl 6 flannel -> bridge\n",
		"/ls/etc/plum/net.d":               "- 12 10-plum.conflist\n- 2 20-fig.conf.disabled\n- 18 kubeconfig.json\n- 14 plum-kubeconfig\n",
		"/kubelet-cmdline":                 "/usr/bin/kubelet\n--config\n/etc/kubelet.yaml\n--bootstrap-token\nREDACTED\n--v=2\n",
		"/machine-id-hash":                 "dd5150194e6bc75d\n",
		"/ss-listen":                       "tcp 0.0.0.0:10256\n",
	} {
		if got := r.Files[name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for name, text := range r.Files {
		if strings.Contains(text, "quince") {
			t.Errorf("%s holds a secret: %s", name, text)
		}
	}
	for name, want := range map[string]string{
		"/usr/lib/cni":                    "",
		"/ls/usr/lib/cni":                 "/usr of the host is not looked at",
		"/var/lib/fig.conf":               "/var of the host is not looked at",
		"/etc/plum/net.d/kubeconfig.json": "is not read: its name says that it holds credentials",
	} {
		if got := r.Gaps[name]; got != want {
			t.Errorf("gap of %s: got %q, want %q", name, got, want)
		}
	}
	v := viewOf(r)
	for name, want := range map[string]bool{
		"/etc/crio/crio.conf": true, "/etc/plum/net.d/99-x.conf": true, "/ls/run/flannel": true, "/proc/sys/net/bridge/bridge-nf-call-iptables": true,
		"/etc/plum/net.d/kubeconfig.json": false, "/etc/plum/net.d/20-fig.conf.disabled": false, "/var/lib/fig.conf": false, "/etc/shadow": false,
		"/etc/containerd/more/8.toml": true, "/sys/fs/selinux/enforce": true,
	} {
		if got := v.Absent(name); got != want {
			t.Errorf("%s: absent %v, want %v", name, got, want)
		}
	}
}

// Nothing on a node may stop the look, lead it elsewhere or make it large.
func TestHostHostile(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("quince\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"/etc/resolv.conf":                      "-> ../etc/./resolv.conf",
		"/etc/dnsmasq.conf":                     "-> " + outside,
		"/etc/sysctl.conf":                      "-> ../../../../../../../.." + outside,
		"/etc/ufw":                              "-> /run/ufw",
		"/run/ufw/ufw.conf":                     "ENABLED=yes\n",
		"/etc/selinux/config":                   "-> gone",
		"/etc/os-release":                       "-> ../usr/lib/os-release",
		"/etc/firewalld/firewalld.conf/x":       "a directory\n",
		"/etc/default/kubelet":                  "a\x00b\n",
		"/etc/sysconfig/kubelet":                "a\xffb\n",
		"/run/flannel/subnet.env":               strings.Repeat("FLANNEL_MTU=1450\n", mostFileBytes/10),
		"/etc/docker/daemon.json":               `{"a":"` + strings.Repeat("x", mostFileBytes) + `"}`,
		"/etc/cni/net.d/1-\nquince.conf":        "{}",
		"/etc/cni/net.d/2-esc\x1b[31m.conflist": "{}",
		"/etc/machine-id":                       "\n",
		"/own/sys/fs/selinux/quince":            "",
		"/own/proc/net/tcp":                     "sl\n0: quince 0 0A\n",
		"/own/proc/net/udp":                     "sl\n",
		"/own/proc/net/stat/nf_conntrack":       "drop\nquince\n",
	}
	opts := madeUp(t, files)
	for i := range mostDirFiles + 5 {
		writeHost(t, filepath.Dir(opts.Root), fmt.Sprintf("/etc/modules-load.d/%04d.conf", i), "overlay\n")
	}
	if err := unix.Mkfifo(opts.Root+"/etc/crio.fifo", 0o644); err != nil {
		t.Fatal(err)
	}
	writeHost(t, filepath.Dir(opts.Root), "/etc/crio/crio.conf", "-> ../crio.fifo")
	start := time.Now()
	r := Host(t.Context(), opts)
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	for name, want := range map[string]string{
		"/etc/resolv.conf":                      "too many levels of symbolic links",
		"/etc/dnsmasq.conf":                     "leads to " + outside + ", and /" + strings.Split(outside, "/")[1] + " of the host is not looked at",
		"/etc/sysctl.conf":                      "leads to " + outside + ", and /" + strings.Split(outside, "/")[1] + " of the host is not looked at",
		"/etc/os-release":                       "leads to /usr/lib/os-release, and /usr of the host is not looked at",
		"/etc/firewalld/firewalld.conf":         "is no regular file",
		"/etc/crio/crio.conf":                   "is no regular file",
		"/etc/default/kubelet":                  "is no text",
		"/etc/sysconfig/kubelet":                "is no text",
		"/run/flannel/subnet.env":               "is larger than 256 KiB: the rest is left out",
		"/etc/docker/daemon.json":               "is larger than 256 KiB: the rest is left out",
		"/etc/modules-load.d":                   "of the 205 that fit *.conf, 200 were read",
		"/machine-id-hash":                      "/etc/machine-id holds no ID",
		"/sys/fs/selinux/enforce":               "cannot be seen from a pod",
		"/proc/net/stat/nf_conntrack":           `"quince" is no number`,
		"/ss-listen":                            `/proc/net/tcp: "quince" is no address of a socket`,
		"/kubelet-cmdline":                      "the host's processes cannot be seen",
		"/etc/selinux/config":                   "",
		"/proc/sys/net/ipv4/ip_forward":         "",
		"/etc/systemd/system/kubelet.service.d": "",
	} {
		if got := r.Gaps[name]; got != want {
			t.Errorf("gap of %s: got %q, want %q", name, got, want)
		}
	}
	if text := r.Files["/run/flannel/subnet.env"]; len(text) > mostFileBytes || !strings.HasSuffix(text, "\nFLANNEL_MTU=1450\n") {
		t.Errorf("the large file has %d bytes and ends in %q", len(text), text[max(0, len(text)-20):])
	}
	if got, want := r.Files["/ls/etc/cni/net.d"], "- 2 1-?quince.conf\n- 2 2-esc?[31m.conflist\n"; got != want {
		t.Errorf("the directory reads %q, want %q", got, want)
	}
	if r.Files["/etc/ufw/ufw.conf"] == "" || r.Files["/etc/docker/daemon.json"] != "" {
		t.Error("a directory behind a link is not read, or a part of a JSON file is")
	}
	for name, text := range r.Files {
		if strings.Contains(text, "quince") && !strings.HasPrefix(name, "/ls/") {
			t.Errorf("%s holds what is outside: %q", name, text)
		}
	}
	v := viewOf(r)
	if v.Absent("/etc/modules-load.d/0204.conf") || v.Unknown("/etc/modules-load.d/0204.conf") != r.Gaps["/etc/modules-load.d"] {
		t.Error("a file that was left out counts as not there")
	}
	if !v.Absent("/etc/selinux/config") {
		t.Error("a link that leads to nothing counts as something")
	}
}

// What was not read in time is unknown, all of it.
func TestHostLate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	opts := madeUp(t, map[string]string{"/etc/resolv.conf": "nameserver 192.0.2.1\n"})
	r := Host(ctx, opts)
	wantNames(t, "files", slices.Sorted(maps.Keys(r.Files)), []string{host.Asked})
	v := viewOf(r)
	for _, name := range []string{"/etc/resolv.conf", "/etc/cni/net.d/1.conf", "/ls/opt/cni/bin", "/ip-addr.json", "/kubelet-cmdline", "/service-rules", "/proc/modules"} {
		if got := v.Unknown(name); got != "was not read in time" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestHostWithoutMounts(t *testing.T) {
	opts := madeUp(t, nil)
	opts.Root += "/gone"
	r := Host(t.Context(), opts)
	v := viewOf(r)
	for _, name := range []string{"/etc/resolv.conf", "/ls/etc/cni/net.d", "/etc/cni/net.d/1.conf", "/kubelet-cmdline"} {
		if v.Absent(name) || v.Unknown(name) == "not read" {
			t.Errorf("%s: absent %v, unknown %q", name, v.Absent(name), v.Unknown(name))
		}
	}
}

// A node's files may all be large.
func TestHostTotal(t *testing.T) {
	files := map[string]string{}
	for i := range 100 {
		files[fmt.Sprintf("/etc/sysctl.d/%03d.conf", i)] = strings.Repeat("# plum\n", mostFileBytes/7)
	}
	r := Host(t.Context(), madeUp(t, files))
	size := 0
	for _, text := range r.Files {
		size += len(text)
	}
	if size > mostTotalBytes+1<<16 || r.Gaps["/etc/sysctl.d/099.conf"] != "everything together is larger than 16 MiB" {
		t.Errorf("%d bytes; %q", size, r.Gaps["/etc/sysctl.d/099.conf"])
	}
}

func TestAwait(t *testing.T) {
	never := make(chan int)
	if n, err := await(t.Context(), time.Millisecond, func() (int, error) { return <-never, nil }); err == nil || n != 0 {
		t.Errorf("of what hangs: %d, %v", n, err)
	}
	if _, err := await(t.Context(), time.Minute, func() (int, error) { panic("quince") }); err == nil || !strings.Contains(err.Error(), "quince") {
		t.Errorf("of a panic: %v", err)
	}
	v := newVisit(HostOptions{Node: "fig"})
	v.make(t.Context(), maker{[]string{"/plum", "/fig"}, func() (files, gaps map[string]string) { panic("quince") }})
	if r := v.result(); r.Gaps["/plum"] != "the look failed: quince" || r.Gaps["/fig"] == "" || viewOf(r).Absent("/plum") {
		t.Errorf("a maker that panics: %+v", r)
	}
}

// Everything that is made stands in the table, and everything in the table is made.
func TestMakersMakeWhatIsListed(t *testing.T) {
	var made, listed []string
	for _, m := range newVisit(HostOptions{}).makers() {
		made = append(made, m.names...)
	}
	for _, r := range Reads() {
		if r.from == fromKernel {
			listed = append(listed, r.Pattern)
		}
	}
	slices.Sort(made)
	wantNames(t, "made", made, listed)
}

// Of hundreds of interfaces the settings of the node's own are read.
func TestPodsLast(t *testing.T) {
	const of = "/proc/sys/net/ipv4/conf/"
	files := map[string]string{}
	links := []string{`{"ifname":"plum.1","linkinfo":{"info_kind":"vxlan"}}`}
	for i := range mostDirFiles {
		files[fmt.Sprintf("/own%scali%03d/rp_filter", of, i)] = "1\n"
		links = append(links, fmt.Sprintf(`{"ifname":"cali%03d","linkinfo":{"info_kind":"veth"}}`, i))
	}
	for _, name := range []string{"default", "eth0", "all", "plum.1"} {
		files["/own"+of+name+"/rp_filter"] = "2\n"
	}
	v := newVisit(madeUp(t, files))
	v.found.files[addrFile] = "[" + strings.Join(links, ",") + "]"
	v.readAll(t.Context(), Look{Pattern: of + "*/rp_filter", from: fromProc})
	for _, name := range []string{"default", "eth0", "all", "plum.1", "cali000"} {
		if v.found.files[of+name+"/rp_filter"] == "" {
			t.Errorf("%s was not read", name)
		}
	}
	if len(v.found.files) != 1+mostDirFiles || v.gaps[strings.TrimSuffix(of, "/")] == "" || len(v.asked) > 0 {
		t.Errorf("%d files, %v, asked %q", len(v.found.files), v.gaps, v.asked)
	}
}

func TestMachineHash(t *testing.T) {
	hash := func(text string) (string, error) {
		return machineHash(tree{dir: madeUp(t, map[string]string{"/etc/machine-id": text}).Root})
	}
	for _, text := range []string{"", "\n", "uninitialized\n"} {
		if got, err := hash(text); err == nil {
			t.Errorf("of %q: %q", text, got)
		}
	}
	a, errA := hash("0a1b\n")
	b, errB := hash("0a1c\n")
	if errA != nil || errB != nil || a == b || len(a) != 17 {
		t.Errorf("%q, %q, %v, %v", a, b, errA, errB)
	}
}

func TestKernelMessages(t *testing.T) {
	if _, err := kernelMessages(); err != nil && err.Error() != "takes the capability SYSLOG" {
		t.Error(err)
	}
}

// Two processes of the host may be called kubelet.
func TestKubeletTwice(t *testing.T) {
	text, err := kubeletCmdline(tree{dir: madeUp(t, map[string]string{
		"/proc/1/status": "Name:\tinit\n", "/proc/30/status": "Name:\tkubelet\nNSpid:\t30\n", "/proc/4/status": "Name:\tkubelet\n",
		"/proc/4/cmdline": "kubelet\x00--v=4\x00", "/proc/30/cmdline": "kubelet\x00", "/proc/5/status": "-> ../30/status", "/proc/6": "-> 30",
	}).Root})
	if want := "2 processes are called kubelet: these are the arguments of the first, 4"; text != "kubelet\n--v=4\n" || err == nil || err.Error() != want {
		t.Errorf("%q, %v", text, err)
	}
}
