package plane

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// State is the directory of one control plane. Callers rely on kubeconfig,
// ca.crt and ca.key at its top; the rest is private.
type State string

func (d State) path(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

// Kubeconfig is the file that makes its reader an administrator.
func (d State) Kubeconfig() string { return d.path("kubeconfig") }

// create insists on a new or empty directory: certificates of one run and
// data of another do not fit, and clearing it could delete something dear.
func (d State) create() error {
	entries, err := os.ReadDir(string(d))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the state directory: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("state directory %s is not empty: remove it or name another", d)
	}
	return d.fill()
}

func (d State) fill() error {
	for _, dir := range []string{"etcd", "logs", "pki"} {
		if err := os.MkdirAll(d.path(dir), 0o700); err != nil {
			return fmt.Errorf("creating the state directory: %w", err)
		}
	}
	return nil
}

// credentials are keys, certificates and kubeconfigs, as files by their names
// below the state directory.
type credentials struct {
	files map[string][]byte
	ca    *authority
	admin keyPair
}

// newCredentials makes what an API server at the URL server and its clients
// need. The hosts are the names and addresses of the server.
func newCredentials(server string, hosts []string) (*credentials, error) {
	ca, err := newAuthority()
	if err != nil {
		return nil, err
	}
	_, serviceAccountKey, err := newKey()
	if err != nil {
		return nil, err
	}
	c := &credentials{ca: ca, files: map[string][]byte{
		"ca.crt": ca.cert, "ca.key": ca.key, "pki/sa.key": serviceAccountKey,
	}}
	issued := map[string]keyPair{}
	for _, cert := range certificates(hosts) {
		pair, err := ca.issue(cert.subject, cert.hosts...)
		if err != nil {
			return nil, err
		}
		issued[cert.name] = pair
		c.files["pki/"+cert.name+".crt"], c.files["pki/"+cert.name+".key"] = pair.cert, pair.key
	}
	c.admin = issued["admin"]
	c.files["kubeconfig"] = kubeconfig(server, ca.cert, c.admin)
	for _, client := range []string{"controller-manager", "scheduler"} {
		c.files["pki/"+client+".kubeconfig"] = kubeconfig(server, ca.cert, issued[client])
	}
	return c, nil
}

func (c *credentials) write(d State) error {
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		if err := os.WriteFile(d.path(name), c.files[name], 0o600); err != nil {
			return fmt.Errorf("writing credentials: %w", err)
		}
	}
	return nil
}

type certificate struct {
	name    string // of its files, without extension
	subject pkix.Name
	hosts   []string
}

func certificates(apiserver []string) []certificate {
	masters := []string{"system:masters"}
	return []certificate{
		{"apiserver", pkix.Name{CommonName: "kube-apiserver"}, append(apiserver,
			serviceIP, "kubernetes", "kubernetes.default",
			"kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		)},
		{"kubelet-client", pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: masters}, nil},
		{frontProxy, pkix.Name{CommonName: frontProxy}, nil},
		{"admin", pkix.Name{CommonName: "kubernetes-admin", Organization: masters}, nil},
		{"controller-manager", pkix.Name{CommonName: "system:kube-controller-manager"}, nil},
		{"scheduler", pkix.Name{CommonName: "system:kube-scheduler"}, nil},
	}
}

func kubeconfig(server string, ca []byte, user keyPair) []byte {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: lab
  user:
    client-certificate-data: %s
    client-key-data: %s
contexts:
- name: lab
  context: {cluster: lab, user: lab}
current-context: lab
`, server, b64(ca), b64(user.cert), b64(user.key))
}
