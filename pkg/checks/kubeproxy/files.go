package kubeproxy

import (
	"cmp"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// origin says where a file that a container names comes from.
type origin struct {
	found     bool   // something is mounted there
	configMap string // empty: not a ConfigMap, and nothing is known of its content
	key       string // empty: the volume leaves this file out
}

// locate finds what a container reads under an absolute path.
func locate(spec *corev1.PodSpec, c *corev1.Container, file string) origin {
	var mount *corev1.VolumeMount
	for i := range c.VolumeMounts {
		m := &c.VolumeMounts[i]
		at := path.Clean(m.MountPath)
		if (file == at || strings.HasPrefix(file, strings.TrimSuffix(at, "/")+"/")) && (mount == nil || len(at) > len(path.Clean(mount.MountPath))) {
			mount = m
		}
	}
	if mount == nil {
		return origin{}
	}
	rel := strings.TrimPrefix(strings.TrimPrefix(file, path.Clean(mount.MountPath)), "/")
	if mount.SubPathExpr != "" {
		return origin{found: true}
	}
	rel = path.Join(mount.SubPath, rel)
	for i := range spec.Volumes {
		if v := &spec.Volumes[i]; v.Name == mount.Name {
			return inVolume(v, rel)
		}
	}
	return origin{found: true} // the API server refuses a mount without a volume
}

func inVolume(v *corev1.Volume, rel string) origin {
	switch {
	case v.ConfigMap != nil:
		return origin{found: true, configMap: v.ConfigMap.Name, key: keyOf(v.ConfigMap.Items, rel)}
	case v.Projected != nil && len(v.Projected.Sources) == 1 && v.Projected.Sources[0].ConfigMap != nil:
		m := v.Projected.Sources[0].ConfigMap
		return origin{found: true, configMap: m.Name, key: keyOf(m.Items, rel)}
	}
	return origin{found: true}
}

// keyOf returns the key that a volume shows under a path.
func keyOf(items []corev1.KeyToPath, rel string) string {
	if len(items) == 0 {
		return rel
	}
	for _, item := range items {
		if path.Clean(item.Path) == rel {
			return item.Key
		}
	}
	return ""
}

// flag returns the value of a command-line flag, the last one given, as pflag reads
// it. A shell's command line is one argument with the flags in it.
func flag(c *corev1.Container, name string) string {
	var words []string
	for _, arg := range append(append([]string(nil), c.Command...), c.Args...) {
		words = append(words, strings.Fields(arg)...)
	}
	value := ""
	for i, w := range words {
		if v, found := strings.CutPrefix(w, "--"+name+"="); found {
			value = v
		} else if w == "--"+name && i+1 < len(words) {
			value = words[i+1]
		}
	}
	return strings.Trim(value, `"'`)
}

// absolute resolves a path as the process does, or returns "" where it depends on the
// environment.
func absolute(c *corev1.Container, file string) string {
	if strings.Contains(file, "$") {
		return ""
	}
	if !path.IsAbs(file) {
		file = path.Join(cmp.Or(c.WorkingDir, "/"), file)
	}
	return path.Clean(file)
}
