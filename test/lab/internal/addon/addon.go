// Package addon makes the manifests of what every cluster needs beside its
// control plane, from what upstream ships.
package addon

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"text/template"
)

// CoreDNS fills in the manifest of Kubernetes' own addon, which is a Deployment
// of one replica, and makes it run the given version.
func CoreDNS(base, clusterDNS, version string) (string, error) {
	manifest := strings.NewReplacer(
		"__DNS__DOMAIN__", "cluster.local",
		"__DNS__SERVER__", clusterDNS,
		"__DNS__MEMORY__LIMIT__", "170Mi",
	).Replace(base)
	if left := regexp.MustCompile(`__DNS__\w+__`).FindString(manifest); left != "" {
		return "", fmt.Errorf("the manifest of CoreDNS has a placeholder %s that nothing is known about", left)
	}
	image := regexp.MustCompile(`(image: \S*/coredns):\S+`)
	if !image.MatchString(manifest) {
		return "", errors.New("the manifest of CoreDNS names no image of it")
	}
	return image.ReplaceAllString(manifest, "${1}:"+version), nil
}

// proxyConfig is what "kubeadm init" would write but for values that are the
// default anyway.
const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clusterCIDR: %s
bindAddress: 0.0.0.0
clientConnection:
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf`

// proxyAccount is what kubeadm makes by calls of the API, so that there is no
// template of it.
const proxyAccount = `
apiVersion: v1
kind: ServiceAccount
metadata:
  name: kube-proxy
  namespace: kube-system
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: kubeadm:node-proxier
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: system:node-proxier
subjects:
- kind: ServiceAccount
  name: kube-proxy
  namespace: kube-system
`

// KubeProxy fills in kubeadm's templates, which are constants in the Go file
// source.
func KubeProxy(source, server, podRange, version string) (string, error) {
	constants, err := stringConstants(source)
	if err != nil {
		return "", fmt.Errorf("reading kubeadm's templates: %w", err)
	}
	values := map[string]string{
		"ControlPlaneEndpoint": server,
		"ProxyConfigMap":       "kube-proxy",
		"ProxyConfigMapKey":    "config.conf",
		"ProxyConfig":          indent(fmt.Sprintf(proxyConfig, podRange), "    "),
		"Image":                "registry.k8s.io/kube-proxy:" + version,
	}
	manifest := proxyAccount
	for _, name := range []string{"KubeProxyConfigMap19", "KubeProxyDaemonSet19"} {
		text, found := constants[name]
		if !found {
			return "", fmt.Errorf("kubeadm has no template %s", name)
		}
		t, err := template.New(name).Option("missingkey=error").Parse(text)
		if err != nil {
			return "", fmt.Errorf("reading kubeadm's templates: %w", err)
		}
		var filled bytes.Buffer
		if err := t.Execute(&filled, values); err != nil {
			return "", fmt.Errorf("filling in kubeadm's templates: %w", err)
		}
		manifest += "---" + filled.String()
	}
	return manifest, nil
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(text, "\n", "\n"+by)
}

// stringConstants returns the constants of a Go file that are string literals.
// Importing the package would link all of kubeadm.
func stringConstants(source string) (map[string]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", source, 0)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, decl := range file.Decls {
		constants, isGroup := decl.(*ast.GenDecl)
		if !isGroup || constants.Tok != token.CONST {
			continue
		}
		for _, spec := range constants.Specs {
			for i, value := range spec.(*ast.ValueSpec).Values {
				literal, isLiteral := value.(*ast.BasicLit)
				if !isLiteral || literal.Kind != token.STRING {
					continue
				}
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					return nil, err
				}
				found[spec.(*ast.ValueSpec).Names[i].Name] = text
			}
		}
	}
	return found, nil
}
