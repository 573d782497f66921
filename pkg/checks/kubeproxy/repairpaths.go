package kubeproxy

import (
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Misnamed is a key of a ConfigMap under another name than the one that is read.
type Misnamed struct {
	ConfigMap *corev1.ConfigMap
	Is, Wants string
}

// MisnamedConfig returns the key that holds the configuration where the one that --config
// names is not there, if it is the only one.
func (p Proxy) MisnamedConfig() (Misnamed, bool) {
	return p.misnamed(p.Flag("config"), func(text string) bool { return configKind.MatchString(text) })
}

// MisnamedKubeconfig is the same of the kubeconfig that the configuration names.
func (p Proxy) MisnamedKubeconfig() (Misnamed, bool) {
	return p.misnamed(p.kubeconfigPath(), func(text string) bool { return kubeconfigKind.MatchString(text) })
}

func (p Proxy) misnamed(file string, is func(string) bool) (Misnamed, bool) {
	c := p.Container()
	full := absolute(c, file)
	if file == "" || full == "" {
		return Misnamed{}, false
	}
	o := locate(p.p.spec, c, full)
	cm := p.p.s.ConfigMap(p.Set.Namespace, o.configMap)
	if o.key == "" || cm == nil {
		return Misnamed{}, false
	}
	if _, there := cm.Data[o.key]; there {
		return Misnamed{}, false
	}
	holding := slices.DeleteFunc(keys(cm), func(key string) bool { return !is(cm.Data[key]) })
	if len(holding) != 1 {
		return Misnamed{}, false
	}
	return Misnamed{cm, holding[0], o.key}, true
}

// kubeconfigPath is the file that the configuration names.
func (p Proxy) kubeconfigPath() string {
	if p.Config == nil {
		return ""
	}
	config, err := Settings(p.Config.Text)
	if err != nil {
		return ""
	}
	return config.ClientConnection.Kubeconfig
}

// ConfigPaths returns the paths under which the container finds a configuration.
func (p Proxy) ConfigPaths() []string { return p.paths(configKind.MatchString) }

// KubeconfigPaths returns the paths under which the container finds a kubeconfig.
func (p Proxy) KubeconfigPaths() []string { return p.paths(kubeconfigKind.MatchString) }

// paths returns the paths of the keys of mounted ConfigMaps whose text matches.
func (p Proxy) paths(is func(string) bool) []string {
	c := p.Container()
	var out []string
	for _, m := range c.VolumeMounts {
		for i := range p.p.spec.Volumes {
			v := p.p.spec.Volumes[i].ConfigMap
			if p.p.spec.Volumes[i].Name != m.Name || v == nil || m.SubPath != "" || m.SubPathExpr != "" {
				continue
			}
			cm := p.p.s.ConfigMap(p.Set.Namespace, v.Name)
			for rel, key := range shownBy(v, cm) {
				if file := path.Join(m.MountPath, rel); is(cm.Data[key]) && locate(p.p.spec, c, file).key == key {
					out = append(out, file)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// shownBy returns the keys that a volume shows, by path.
func shownBy(v *corev1.ConfigMapVolumeSource, cm *corev1.ConfigMap) map[string]string {
	out := map[string]string{}
	if cm == nil {
		return out
	}
	for _, item := range v.Items {
		out[path.Clean(item.Path)] = item.Key
	}
	for key := range cm.Data {
		if len(v.Items) == 0 {
			out[key] = key
		}
	}
	return out
}
