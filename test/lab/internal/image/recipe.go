package image

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Recipes are the sources of this package: two builds with the same recipes
// make the same images.
//
//go:embed *.go
var Recipes embed.FS

// Pause is the image that holds the namespaces of every pod.
const Pause = "registry.k8s.io/pause:3.10.2"

// BusyBox is the image for pods of tests: a shell with the usual tools and
// labtool, which serves and asks over HTTP and DNS.
const BusyBox = "docker.io/library/busybox:lab"

// netPrograms are what kube-proxy and flanneld call.
var netPrograms = []string{"xtables-nft-multi", "xtables-legacy-multi", "nft", "conntrack", "ipset"}

// Missing returns what the machine lacks to make the images, by the names of
// Debian's packages.
func Missing() []string {
	var missing []string
	packages := map[string]string{
		"xtables-nft-multi": "iptables", "xtables-legacy-multi": "iptables",
		"nft": "nftables", "conntrack": "conntrack", "ipset": "ipset",
	}
	for _, name := range netPrograms {
		if _, err := findProgram(name); err != nil && !slices.Contains(missing, packages[name]) {
			missing = append(missing, packages[name])
		}
	}
	_, busyboxErr := staticBusyBox()
	_, aptErr := exec.LookPath("apt-get")
	if busyboxErr != nil && aptErr != nil {
		missing = append(missing, "busybox-static")
	}
	return missing
}

// Ingredients are files that images are made of.
type Ingredients struct {
	PauseSource string            // the C source of the pause program
	CoreDNS     map[string]string // programs by the image that they become
	KubeProxy   string
	KubeProxyAs string // the image
	Flanneld    string
	InstallConf string
	FlannelAs   string
	CNIFlannel  string
	CNIAs       string
	LabTool     string
}

// SaveAll writes the archives of all images into dir.
func SaveAll(ctx context.Context, dir string, in Ingredients) error {
	work, err := os.MkdirTemp("", "lab-images-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	pause := filepath.Join(work, "pause")
	if err := run(ctx, work, "gcc", "-Os", "-static", "-DVERSION=lab", "-o", pause, in.PauseSource); err != nil {
		return fmt.Errorf("building pause: %w", err)
	}
	busybox, err := busyBoxIn(ctx, work)
	if err != nil {
		return fmt.Errorf("finding a static busybox: %w", err)
	}
	netTools, err := netLayer(ctx, busybox)
	if err != nil {
		return fmt.Errorf("collecting iptables and its libraries: %w", err)
	}
	tools, err := busyBoxLayer(ctx, busybox, in.LabTool)
	if err != nil {
		return err
	}
	images := []Image{
		pauseImage(pause),
		{Ref: BusyBox, Entrypoint: []string{"/bin/sh"}, Layer: tools},
		{Ref: in.KubeProxyAs, Entrypoint: []string{"/usr/local/bin/kube-proxy"}, Layer: netTools.with("usr/local/bin/kube-proxy", in.KubeProxy)},
		{Ref: in.FlannelAs, Entrypoint: []string{"/opt/bin/flanneld"},
			Layer: netTools.with("opt/bin/flanneld", in.Flanneld).with("opt/bin/install-conf", in.InstallConf)},
		cniImage(in.CNIAs, busybox, in.CNIFlannel),
	}
	for ref, program := range in.CoreDNS {
		images = append(images, coreDNSImage(ref, program))
	}
	for _, i := range images {
		if err := i.Save(dir); err != nil {
			return err
		}
	}
	return nil
}

func pauseImage(program string) Image {
	l := newLayer()
	l.File("pause", program)
	return Image{Ref: Pause, Entrypoint: []string{"/pause"}, User: "65535:65535", Layer: l}
}

// coreDNSImage is like upstream's, whose user the kubelet must be able to look
// up in the image to see that it is not root.
func coreDNSImage(ref, program string) Image {
	l := newLayer()
	l.File("coredns", program)
	l.Dir("etc/ssl/certs", 0o755)
	l.Dir("tmp", 0o1777)
	l.Text("etc/passwd", "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")
	l.Text("etc/group", "nonroot:x:65532:\n")
	return Image{Ref: ref, Entrypoint: []string{"/coredns"}, User: "nonroot:nonroot", Layer: l}
}

// cniImage holds what flannel's manifest runs to install the plugin: "cp".
func cniImage(ref, busybox, plugin string) Image {
	l := newLayer()
	l.File("bin/busybox", busybox)
	l.Link("bin/cp", "busybox")
	l.File("flannel", plugin)
	return Image{Ref: ref, Entrypoint: []string{"/bin/cp"}, Layer: l}
}

func busyBoxLayer(ctx context.Context, busybox, labtool string) (*Layer, error) {
	out, err := exec.CommandContext(ctx, busybox, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("asking busybox for its applets: %w", err)
	}
	l := newLayer()
	for applet := range strings.FieldsSeq(string(out)) {
		l.Link("bin/"+applet, "busybox")
	}
	l.File("bin/busybox", busybox)
	l.File("bin/labtool", labtool)
	l.Dir("tmp", 0o1777)
	l.Dir("root", 0o700)
	l.Text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	return l, nil
}

// netLayer holds iptables, nft, conntrack and ipset of this machine with
// everything that they load, and a shell.
func netLayer(ctx context.Context, busybox string) (*Layer, error) {
	l := newLayer()
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		l.Dir("usr/"+dir, 0o755)
		l.Link(dir, "usr/"+dir)
	}
	l.File("usr/bin/busybox", busybox)
	for _, applet := range strings.Fields("sh ls cat cp mv rm ip sleep grep nslookup mkdir echo env ps") {
		l.Link("usr/bin/"+applet, "busybox")
	}
	l.Dir("tmp", 0o1777)
	l.Dir("run", 0o755)
	l.Link("var/run", "../run")
	l.Text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	for _, file := range []string{"/etc/protocols", "/etc/services"} { // names in rules
		if _, err := os.Stat(file); err == nil {
			l.File(file, file)
		}
	}
	var binaries []string
	for _, name := range netPrograms {
		program, err := findProgram(name)
		if err != nil {
			return nil, err
		}
		l.File("usr/sbin/"+name, program)
		binaries = append(binaries, program)
	}
	for _, family := range []string{"iptables", "ip6tables"} {
		for _, command := range []string{"", "-save", "-restore"} {
			l.Link("usr/sbin/"+family+command, "xtables-nft-multi")
			l.Link("usr/sbin/"+family+"-nft"+command, "xtables-nft-multi")
			l.Link("usr/sbin/"+family+"-legacy"+command, "xtables-legacy-multi")
		}
	}
	// Matches and targets are libraries too, and need some that no program
	// does: without libm, rules with "-m statistic" fail.
	extensions, err := filepath.Glob("/usr/lib*/*/xtables/*.so")
	if err != nil || len(extensions) == 0 {
		return nil, errors.Join(errors.New("no extensions of iptables below /usr/lib"), err)
	}
	for _, file := range extensions {
		l.File(file, file)
	}
	libraries, err := librariesOf(ctx, append(binaries, extensions...))
	if err != nil {
		return nil, err
	}
	for _, file := range libraries {
		l.File(merged(file), file)
	}
	return l, nil
}

// with returns a copy of the layer that also holds a program.
func (l *Layer) with(name, program string) *Layer {
	extended := newLayer()
	for name, e := range l.entries {
		extended.entries[name] = e
	}
	extended.File(name, program)
	return extended
}
