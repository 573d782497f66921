package fixes

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// corefileKey is the key under which every installer of CoreDNS keeps the Corefile.
const corefileKey = "Corefile"

// CoreDNSConfigMapKey brings the key of the Corefile and the volume that mounts it together.
var CoreDNSConfigMapKey = &Fix{
	ID:    "coredns-configmap-key",
	Title: "Let CoreDNS's volume and the key of its Corefile agree",
	For:   []*checks.Check{coredns.ConfigMapKey},
	Risk:  Restarts,
	Plan:  planCoreDNSConfigMapKey,
	Doc: `Changes the side that is not called Corefile, as every installer calls it. Where the volume asks for the key Corefile
and the ConfigMap has one key that is meant (the only one, or one that differs in case alone), its text is put under Corefile,
byte for byte, and the other key is taken away unless another workload mounts it; pods that wait for it are made anew, so that
they start at once. Where the volume asks for another key and the ConfigMap has Corefile, the volume's item is pointed at that.

It is refused where the ConfigMap is gone, where several keys may be meant, where the text is no Corefile, and for keys that
hold something else, such as NodeHosts of k3s. Errors in the text that is mounted then are other findings.
` + "`kubectl netdoctor undo`" + ` puts key and volume back.`,
}

func planCoreDNSConfigMapKey(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	if f.Subject.Kind != "ConfigMap" {
		return Plan{}, errors.New("which ConfigMap should hold the Corefile is not known: compare the path behind -conf with where the volumes of the pods are mounted")
	}
	cm := s.ConfigMap(f.Subject.Namespace, f.Subject.Name)
	if cm == nil {
		return Plan{}, fmt.Errorf("%s does not exist, and what stood in it is not known: kubeadm init phase addon coredns makes it on kubeadm clusters, else the add-on, chart or manifest that it came from", f.Subject)
	}
	keys := coredns.LackedKeys(s, f)
	if len(keys) != 1 {
		return Plan{}, fmt.Errorf("%s lacks not one key but %d (%s); put them there by hand: %s", f.Subject, len(keys), strings.Join(keys, ", "), editCommand(f.Subject))
	}
	if keys[0] == corefileKey {
		return underCorefile(s, f, cm)
	}
	return volumeToCorefile(s, f, cm, keys[0])
}

// underCorefile plans to put the text under the key Corefile.
func underCorefile(s *facts.Snapshot, f checks.Finding, cm *corev1.ConfigMap) (Plan, error) {
	keys := slices.Sorted(maps.Keys(cm.Data))
	other := coredns.Spelled(keys, corefileKey)
	if other == "" {
		return Plan{}, fmt.Errorf("which key of %s holds the Corefile is not known, it has: %s; rename the right one to %s: %s",
			f.Subject, strings.Join(keys, ", "), corefileKey, editCommand(f.Subject))
	}
	if err := loadable(cm, other); err != nil {
		return Plan{}, err
	}
	if ptr.Deref(cm.Immutable, false) {
		return Plan{}, fmt.Errorf("%s is immutable: it can only be deleted and made again, with the text of %s under the key %s", f.Subject, other, corefileKey)
	}
	edited := cm.DeepCopy()
	edited.Data[corefileKey] = cm.Data[other]
	if !mountedElsewhere(s, cm, other, workloads(s, f)) {
		delete(edited.Data, other)
	}
	change, err := changeOf("ConfigMap", "v1", cm, edited)
	if err != nil {
		return Plan{}, err
	}
	return Plan{Changes: []Change{change}, Restarts: waiting(s, f), Rollouts: workloads(s, f)}, nil
}

// loadable says why what stands under a key cannot be the Corefile, or nil.
func loadable(cm *corev1.ConfigMap, key string) error {
	file, err := corefile.Parse(cm.Data[key])
	if err == nil && len(file.Blocks) == 0 {
		err = errors.New("it has no server block")
	}
	if err != nil {
		ref := facts.Ref{Kind: "ConfigMap", Namespace: cm.Namespace, Name: cm.Name}
		return fmt.Errorf("what stands under %s in %s is no Corefile (%w); write one under the key %s: %s", key, ref, err, corefileKey, editCommand(ref))
	}
	return nil
}

// mountedElsewhere tells whether another workload of the namespace has a key in a volume.
func mountedElsewhere(s *facts.Snapshot, cm *corev1.ConfigMap, key string, own []facts.Ref) bool {
	mounts := func(kind string, o metav1.Object, spec *corev1.PodSpec) bool {
		ref := facts.Ref{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
		return ref.Namespace == cm.Namespace && !slices.Contains(own, ref) && slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool {
			return v.ConfigMap != nil && v.ConfigMap.Name == cm.Name && (len(v.ConfigMap.Items) == 0 || itemOf(spec, cm.Name, key) != nil)
		})
	}
	return slices.ContainsFunc(s.Deployments, func(d *appsv1.Deployment) bool { return mounts("Deployment", d, &d.Spec.Template.Spec) }) ||
		slices.ContainsFunc(s.DaemonSets, func(d *appsv1.DaemonSet) bool { return mounts("DaemonSet", d, &d.Spec.Template.Spec) })
}

// itemOf returns the item of a volume that mounts a key of a ConfigMap, or nil.
func itemOf(spec *corev1.PodSpec, name, key string) *corev1.KeyToPath {
	for _, v := range spec.Volumes {
		if v.ConfigMap == nil || v.ConfigMap.Name != name {
			continue
		}
		for i := range v.ConfigMap.Items {
			if v.ConfigMap.Items[i].Key == key {
				return &v.ConfigMap.Items[i]
			}
		}
	}
	return nil
}

// waiting returns the finding's pods that do not run, which would start only with the kubelet's
// next try.
func waiting(s *facts.Snapshot, f checks.Finding) []*facts.Pod {
	out := crashing(s, f)
	for _, p := range podsOf(s, f) {
		if p.Phase == corev1.PodPending && p.Node != "" && !p.Deleting && !p.Static && p.Owner.Kind != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// volumeToCorefile plans to let the volume of the pods take the key Corefile.
func volumeToCorefile(s *facts.Snapshot, f checks.Finding, cm *corev1.ConfigMap, key string) (Plan, error) {
	if _, has := cm.Data[corefileKey]; !has {
		return Plan{}, fmt.Errorf("%s has neither the key %s, which the volume asks for, nor %s: put the text under one of them: %s", f.Subject, key, corefileKey, editCommand(f.Subject))
	}
	owners := ownersOf(podsOf(s, f))
	if len(owners) != 1 {
		return Plan{}, fmt.Errorf("the pods that mount it do not belong to one Deployment; let their volume take the key %s by hand", corefileKey)
	}
	was, edited, err := templateOf(s, owners[0])
	if err != nil {
		return Plan{}, err
	}
	spec := &edited.Spec.Template.Spec
	item := itemOf(spec, cm.Name, key)
	if item == nil || itemOf(spec, cm.Name, corefileKey) != nil || item.Path != configFile(spec) {
		return Plan{}, fmt.Errorf("what belongs under the key %s of %s is not known; its installer writes it (NodeHosts: the server of k3s): %s", key, f.Subject, editCommand(f.Subject))
	}
	if err := loadable(cm, corefileKey); err != nil {
		return Plan{}, err
	}
	item.Key = corefileKey
	return rollout(was, edited)
}

// configFile returns the name of the file that CoreDNS reads its Corefile from, as the volume
// has to call it.
func configFile(spec *corev1.PodSpec) string {
	c, err := dnsContainer(spec)
	if err != nil {
		return ""
	}
	return path.Base(flagOf(c, "conf", corefileKey))
}
