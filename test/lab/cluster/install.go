package cluster

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/addon"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/build"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/image"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/network"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/node"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/plane"
)

// archives returns the image archives that the network needs, and the others.
func (s *start) archives() (first, later []string, err error) {
	files, err := filepath.Glob(filepath.Join(s.record.Cluster.Images(), "*.tar"))
	if err != nil {
		return nil, nil, err
	}
	pause := image.Image{Ref: image.Pause}
	for _, file := range files {
		name := filepath.Base(file)
		if name == pause.File() || strings.HasPrefix(name, "flannel") || strings.HasPrefix(name, "kube-proxy") {
			first = append(first, name)
		} else {
			later = append(later, name)
		}
	}
	return first, later, nil
}

func importImages(ctx context.Context, n node.Node, archives []string) error {
	for _, name := range archives {
		if _, err := n.Exec(ctx, "ctr", "-n", "k8s.io", "images", "import", path.Join("/lab/images", name)); err != nil {
			return fmt.Errorf("%w; the end of containerd's log:\n%s", err, n.Log("containerd"))
		}
	}
	return nil
}

// apply applies what manifests returns.
func (s *start) apply(ctx context.Context, manifests func() (string, error)) error {
	content, err := manifests()
	if err != nil {
		return err
	}
	_, err = s.Kubectl(ctx, content, "apply", "--validate=ignore", "-f", "-")
	return err
}

func (s *start) networkManifests() (string, error) {
	source, err := s.record.Cluster.Manifest(build.KubeProxyManifest)
	if err != nil {
		return "", err
	}
	version, err := s.imageVersion("kube-proxy-")
	if err != nil {
		return "", err
	}
	proxy, err := addon.KubeProxy(source, s.plane.Server(), network.PodRange, version)
	if err != nil {
		return "", err
	}
	flannel, err := s.record.Cluster.Manifest(build.FlannelManifest)
	return proxy + "\n---\n" + flannel, err
}

func (s *start) dnsManifest() (string, error) {
	base, err := s.record.Cluster.Manifest(build.CoreDNSManifest)
	if err != nil {
		return "", err
	}
	version, err := s.imageVersion("coredns-")
	if err != nil {
		return "", err
	}
	return addon.CoreDNS(base, plane.ClusterDNS, version)
}

// imageVersion returns the lowest version of the image whose archives begin
// with prefix.
func (s *start) imageVersion(prefix string) (string, error) {
	files, err := filepath.Glob(filepath.Join(s.record.Cluster.Images(), prefix+"*.tar"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("the build has no image %s", prefix)
	}
	slices.Sort(files)
	return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(files[0]), prefix), ".tar"), nil
}
