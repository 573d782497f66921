package main

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// stateDir is the directory of one control plane. Callers rely on kubeconfig,
// ca.crt and ca.key at its top; the rest is private.
type stateDir string

func (d stateDir) path(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

func (d stateDir) kubeconfig() string { return d.path("kubeconfig") }

// create insists on a new or empty directory: certificates of one run and
// data of another do not fit, and clearing it could delete something dear.
func (d stateDir) create() error {
	entries, err := os.ReadDir(string(d))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the state directory: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("state directory %s is not empty: remove it or name another", d)
	}
	for _, dir := range []string{"etcd", "logs", "pki"} {
		if err := os.MkdirAll(d.path(dir), 0o700); err != nil {
			return fmt.Errorf("creating the state directory: %w", err)
		}
	}
	return nil
}

// identities are what the lab itself needs to reach the API server.
type identities struct {
	ca    []byte
	admin keyPair
}

// writeCredentials makes and stores every key, certificate and kubeconfig for
// an API server at the URL server.
func (d stateDir) writeCredentials(server string) (identities, error) {
	ca, err := newAuthority()
	if err != nil {
		return identities{}, err
	}
	_, serviceAccountKey, err := newKey()
	if err != nil {
		return identities{}, err
	}
	files := map[string][]byte{"ca.crt": ca.cert, "ca.key": ca.key, "pki/sa.key": serviceAccountKey}
	issued := map[string]keyPair{}
	for _, c := range certificates() {
		pair, err := ca.issue(c.subject, c.hosts...)
		if err != nil {
			return identities{}, err
		}
		issued[c.name] = pair
		files["pki/"+c.name+".crt"], files["pki/"+c.name+".key"] = pair.cert, pair.key
	}
	files["kubeconfig"] = kubeconfig(server, ca.cert, issued["admin"])
	files["pki/controller-manager.kubeconfig"] = kubeconfig(server, ca.cert, issued["controller-manager"])
	for name, content := range files {
		if err := os.WriteFile(d.path(name), content, 0o600); err != nil {
			return identities{}, fmt.Errorf("writing credentials: %w", err)
		}
	}
	return identities{ca.cert, issued["admin"]}, nil
}

type certificate struct {
	name    string // of its files, without extension
	subject pkix.Name
	hosts   []string
}

func certificates() []certificate {
	masters := []string{"system:masters"}
	return []certificate{
		{"apiserver", pkix.Name{CommonName: "kube-apiserver"}, []string{
			"127.0.0.1", serviceIP, "localhost", "kubernetes", "kubernetes.default",
			"kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		}},
		{"kubelet-client", pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: masters}, nil},
		{frontProxy, pkix.Name{CommonName: frontProxy}, nil},
		{"admin", pkix.Name{CommonName: "kubernetes-admin", Organization: masters}, nil},
		{"controller-manager", pkix.Name{CommonName: "system:kube-controller-manager"}, nil},
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
