package fixes

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubeproxy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// KubeProxyRecreate makes kubeadm's DaemonSet of kube-proxy anew.
var KubeProxyRecreate = &Fix{
	ID:     "kubeproxy-recreate",
	Title:  "Create kubeadm's DaemonSet of kube-proxy again",
	For:    []*checks.Check{kubeproxy.Missing},
	Risk:   Disrupts,
	Settle: proxySettles,
	Plan:   planKubeProxyRecreate,
	Doc: `Creates the DaemonSet kube-system/kube-proxy as kubeadm writes it, in the version and from the registry that kubeadm-config names, and the
ServiceAccount and the ClusterRoleBinding where they are gone too. Every node gets a kube-proxy, which writes the rules of all Services;
connections that exist by rules of before may break.

It is refused in clusters that kubeadm did not make, where a DaemonSet of kube-proxy is there, and where the ConfigMap kube-proxy is gone or is
not one with which kube-proxy starts: what stood in it only its author knows. ` + "`kubeadm init phase addon kube-proxy`" + ` on a control-plane node
makes all of it. If something else is to do its work, do not repair this; install that. "kubectl netdoctor undo" deletes what was created; the rules in the
kernels stay.`,
}

func planKubeProxyRecreate(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	if f.Subject != facts.Cluster() || len(kubeproxy.Proxies(s)) > 0 {
		return Plan{}, errors.New("a DaemonSet of kube-proxy is there; what keeps it off nodes is told by the finding")
	}
	image, err := kubeadmImage(s)
	if err != nil {
		return Plan{}, err
	}
	cm := s.ConfigMap(metav1.NamespaceSystem, "kube-proxy")
	if err := proxyFiles(cm); err != nil {
		return Plan{}, err
	}
	for _, src := range []*facts.Source{facts.ServiceAccounts, facts.ClusterRoleBindings} {
		if why := s.Missing(src); why != "" {
			return Plan{}, fmt.Errorf("whether all that kube-proxy needs is there is not known: %s were not read: %s", src, why)
		}
	}
	d := kubeadmProxy(image)
	var plan Plan
	if !hasAccount(s) {
		account := kubeProxyAccount()
		plan.create("ServiceAccount", "v1", &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: account.Name}}, &err)
	}
	if binding := nodeProxierBinding(); !slices.ContainsFunc(s.ClusterRoleBindings, func(b *rbacv1.ClusterRoleBinding) bool { return b.Name == binding.Name }) {
		plan.create("ClusterRoleBinding", rbacv1.SchemeGroupVersion.String(), binding, &err)
	}
	plan.create("DaemonSet", "apps/v1", d, &err)
	plan.Rollouts = []facts.Ref{setRef(d)}
	plan.Manual = []string{"CoreDNS and others that waited for a Service come back by themselves; where one does not within minutes: kubectl -n kube-system rollout restart deployment coredns"}
	return plan, err
}

// create adds an object that does not exist.
func (plan *Plan) create(kind, apiVersion string, o metav1.Object, err *error) {
	change, e := changeOf(kind, apiVersion, nil, o)
	if e != nil {
		*err = e
	}
	plan.Changes = append(plan.Changes, change)
}

// imagePart matches what may stand in the name of an image, so that a text of the cluster
// is nothing else.
var imagePart = regexp.MustCompile(`^[a-z0-9]+([._:/-]+[A-Za-z0-9]+)*$`)

// kubeadmImage returns the image of kube-proxy that kubeadm would take.
func kubeadmImage(s *facts.Snapshot) (string, error) {
	cm := s.ConfigMap(metav1.NamespaceSystem, "kubeadm-config")
	if cm == nil {
		return "", errors.New("kubeadm did not make this cluster (no ConfigMap kube-system/kubeadm-config); install kube-proxy as its distribution says")
	}
	var config struct {
		KubernetesVersion string `json:"kubernetesVersion"`
		ImageRepository   string `json:"imageRepository"`
	}
	if err := yaml.Unmarshal([]byte(cm.Data["ClusterConfiguration"]), &config); err != nil {
		return "", fmt.Errorf("%s, key ClusterConfiguration: %w", configMapRef(cm), err)
	}
	if !imagePart.MatchString(config.ImageRepository) || !regexp.MustCompile(`^v1\.\d+\.\d+$`).MatchString(config.KubernetesVersion) {
		return "", fmt.Errorf("%s names no image of kube-proxy (imageRepository %q, kubernetesVersion %q)", configMapRef(cm), config.ImageRepository, config.KubernetesVersion)
	}
	return config.ImageRepository + "/kube-proxy:" + config.KubernetesVersion, nil
}

// proxyFiles tells why the ConfigMap is not one with which kube-proxy starts.
func proxyFiles(cm *corev1.ConfigMap) error {
	const byHand = "kubeadm init phase addon kube-proxy on a control-plane node makes it and the DaemonSet"
	if cm == nil {
		return errors.New("the ConfigMap kube-system/kube-proxy is gone as well; " + byHand)
	}
	config, err := kubeproxy.Settings(cm.Data["config.conf"])
	if err != nil {
		return fmt.Errorf("%s, key config.conf: %w; %s", configMapRef(cm), err, byHand)
	}
	switch kubeconfig := config.ClientConnection.Kubeconfig; {
	case cm.Data["kubeconfig.conf"] == "":
		return fmt.Errorf("%s has no key kubeconfig.conf; %s", configMapRef(cm), byHand)
	case kubeconfig != "/var/lib/kube-proxy/kubeconfig.conf":
		return fmt.Errorf("%s, key config.conf, names another kubeconfig than kubeadm's: %q; %s", configMapRef(cm), kubeconfig, byHand)
	}
	return nil
}

// kubeadmProxy is kubeadm's DaemonSet (k8s.io/kubernetes cmd/kubeadm/app/phases/addons/proxy/manifests.go).
func kubeadmProxy(image string) *appsv1.DaemonSet {
	label := map[string]string{"k8s-app": "kube-proxy"}
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "kube-proxy", Labels: label},
		Spec: appsv1.DaemonSetSpec{
			Selector:       &metav1.LabelSelector{MatchLabels: label},
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: label},
				Spec: corev1.PodSpec{
					PriorityClassName: "system-node-critical", HostNetwork: true, ServiceAccountName: "kube-proxy",
					Containers:   []corev1.Container{kubeadmContainer(image)},
					Tolerations:  []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
					NodeSelector: map[string]string{corev1.LabelOSStable: "linux"},
					Volumes: []corev1.Volume{
						{Name: "kube-proxy", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-proxy"}}}},
						{Name: "xtables-lock", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/run/xtables.lock", Type: ptr.To(corev1.HostPathFileOrCreate)}}},
						{Name: "lib-modules", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/lib/modules"}}},
					},
				},
			},
		},
	}
}

func kubeadmContainer(image string) corev1.Container {
	return corev1.Container{
		Name: "kube-proxy", Image: image, ImagePullPolicy: corev1.PullIfNotPresent,
		Command:         []string{"/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf", "--hostname-override=$(" + nodeName + ")"},
		SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "kube-proxy", MountPath: "/var/lib/kube-proxy"},
			{Name: "xtables-lock", MountPath: "/run/xtables.lock"},
			{Name: "lib-modules", MountPath: "/lib/modules", ReadOnly: true},
		},
		Env: []corev1.EnvVar{{Name: nodeName, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}}},
	}
}
