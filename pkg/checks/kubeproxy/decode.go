package kubeproxy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/kube-proxy/config/v1alpha1"
)

// knownMinor is the minor version of Kubernetes whose configuration types this is
// built with. A later one may have fields that are not known here.
const knownMinor = 37

// schemeName is how apimachinery tells schemes apart: by where ours was made.
var schemeName = regexp.MustCompile(` in scheme "[^"]*"`)

// complaint is what a strict decoder says of one field (sigs.k8s.io/json, go.yaml.in/yaml).
var complaint = regexp.MustCompile(`unknown field "[^"]*"|key "[^"]*" already set in map|duplicate field "[^"]*"`)

// decode reads a configuration as kube-proxy does (cmd/kube-proxy/app/options.go,
// loadConfig): strictly, and where that fails only for fields that nobody knows or
// that stand there twice, once more without looking at those.
func decode(text string) (config *v1alpha1.KubeProxyConfiguration, ignored []string, err error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, nil, err
	}
	strict := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	obj, _, err := strict.Decode([]byte(text), nil, nil)
	if known, ok := runtime.AsStrictDecodingError(err); ok {
		for _, e := range known.Errors() {
			ignored = append(ignored, complaint.FindAllString(e.Error(), -1)...)
		}
		obj, _, err = serializer.NewCodecFactory(scheme, serializer.DisableStrict).UniversalDeserializer().Decode([]byte(text), nil, nil)
	}
	if err != nil {
		return nil, nil, errors.New(schemeName.ReplaceAllString(err.Error(), ""))
	}
	config, ok := obj.(*v1alpha1.KubeProxyConfiguration)
	if !ok {
		return nil, nil, fmt.Errorf("is a %T", obj)
	}
	return config, ignored, nil
}

// retired are fields of earlier versions that kubeadm and EKS wrote into every
// cluster's configuration. Later versions ignore them, and nothing is lost.
func retired(complaint string) bool {
	for _, field := range []string{"udpIdleTimeout", "udpTimeoutMilliseconds", "resourceContainer", "conntrack.max"} {
		if complaint == fmt.Sprintf("unknown field %q", field) {
			return true
		}
	}
	return false
}

// later tells whether a server is, or may be, newer than the types known here.
func later(server string) bool {
	var major, minor int
	if n, _ := fmt.Sscanf(server, "v%d.%d", &major, &minor); n < 2 {
		return true
	}
	return major > 1 || minor > knownMinor
}

// configKey returns the key of a ConfigMap under which kube-proxy's configuration
// stands, or "".
func configKey(cm *corev1.ConfigMap) string { return keyHolding(cm, configKind) }

var (
	configKind     = regexp.MustCompile(`(?m)^\s*"?kind"?:\s*"?KubeProxyConfiguration\b`)
	kubeconfigKind = regexp.MustCompile(`(?m)^\s*"?kind"?:\s*"?Config"?\s*,?\s*$`)
)

// keyHolding returns the first key whose text matches.
func keyHolding(cm *corev1.ConfigMap, kind *regexp.Regexp) string {
	for _, key := range keys(cm) {
		if kind.MatchString(cm.Data[key]) {
			return key
		}
	}
	return ""
}

// lineOf quotes the line of a text that sets a field, or says what it is set to.
func lineOf(text, field, value string) string {
	name := field[strings.LastIndexByte(field, '.')+1:]
	for line := range strings.Lines(text) {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(strings.Trim(trimmed, `"`), name) && strings.Contains(trimmed, ":") {
			return trimmed
		}
	}
	return field + ": " + value
}
