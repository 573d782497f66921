package probe

import (
	"maps"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Mounted is where a node's own directories stand in the pod that looks at it.
const Mounted = "/host"

// NodeVariable tells the program of a pod on which node it is.
const NodeVariable = "NETDOCTOR_NODE"

// ResolvConfVariable names the files, parted by commas, that kubelets take for resolv.conf,
// of which a node's own files need not tell.
const ResolvConfVariable = "NETDOCTOR_RESOLV_CONF"

// resolvConfs are the files that the kubelets' live configurations name.
func (r *run) resolvConfs() []string {
	seen := map[string]bool{}
	for _, k := range r.s.Configz {
		if k != nil && k.ResolverConfig != nil && local(*k.ResolverConfig) && !strings.Contains(*k.ResolverConfig, ",") {
			seen[*k.ResolverConfig] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// mounts are the directories of a node that are looked at, all of which every Linux has.
// One that were missing would be made by the container runtime, and nothing is changed.
func mounts() []string { return []string{"/etc", "/run", "/opt", "/proc"} }

// hostJob looks at the files of nodes: a pod on each, in the node's own network, that may
// read the few directories of mounts and ask the kernel for its rules and its log.
func hostJob(image string, home *home, nodes []*corev1.Node, resolvConfs []string) *batchv1.Job {
	job := jobOn(image, home, "host", nodes, []string{"node", "host"})
	pod := &job.Spec.Template.Spec
	asRoot(pod)
	c := &pod.Containers[0]
	c.Env = append(c.Env, corev1.EnvVar{Name: ResolvConfVariable, Value: strings.Join(resolvConfs, ",")})
	// Rules of netfilter are told to NET_ADMIN alone, the kernel's log to SYSLOG.
	c.SecurityContext.Capabilities.Add = []corev1.Capability{"NET_ADMIN", "SYSLOG"}
	for _, dir := range mounts() {
		mount(pod, dir[1:], dir, true)
	}
	return job
}

// trafficJob tries traffic as any pod of an application would: it passes the restricted
// Pod Security Standard.
func trafficJob(image string, home *home, name string, nodes []*corev1.Node, args []string) *batchv1.Job {
	job := jobOn(image, home, name, nodes, append([]string{"node"}, args...))
	pod := &job.Spec.Template.Spec
	pod.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](65532), RunAsGroup: ptr.To[int64](65532),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	return job
}

// jobOn is a pod on each of some nodes, which Kubernetes itself places, whatever taints
// they have: a node that is cordoned or not ready is the one to look at. It ends after
// lifetime and goes soon after, also where nobody deletes it.
func jobOn(image string, home *home, name string, nodes []*corev1.Node, args []string) *batchv1.Job {
	labels := map[string]string{managedBy: manager, "app.kubernetes.io/component": name}
	var names []string
	for _, n := range nodes {
		names = append(names, n.Labels[corev1.LabelHostname])
	}
	slices.Sort(names)
	pod := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, ServiceAccountName: account, AutomountServiceAccountToken: ptr.To(false),
		EnableServiceLinks: ptr.To(false), TerminationGracePeriodSeconds: ptr.To[int64](1),
		NodeSelector: map[string]string{corev1.LabelOSStable: "linux"},
		Tolerations:  []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		Affinity:     spread(name, names),
		Containers: []corev1.Container{{
			Name: name, Image: image, Args: args, ImagePullPolicy: corev1.PullIfNotPresent,
			Env: []corev1.EnvVar{{Name: NodeVariable, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}}},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("256Mi")},
			},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}
	if home.secret != "" {
		pod.ImagePullSecrets = []corev1.LocalObjectReference{{Name: home.secret}}
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{GenerateName: name + "-", Namespace: Namespace, Labels: labels},
		Spec: batchv1.JobSpec{
			Parallelism: ptr.To(int32(len(nodes))), Completions: ptr.To(int32(len(nodes))), CompletionMode: ptr.To(batchv1.IndexedCompletion),
			BackoffLimitPerIndex: ptr.To[int32](0), ActiveDeadlineSeconds: ptr.To(int64(lifetime(len(nodes)).Seconds())), TTLSecondsAfterFinished: ptr.To[int32](30),
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod},
		},
	}
}

// spread keeps the pods of a job on some nodes, one on each.
func spread(name string, hostnames []string) *corev1.Affinity {
	return &corev1.Affinity{
		NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: hostnames},
			}}},
		}},
		PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{managedBy: manager, "app.kubernetes.io/component": name}},
			TopologyKey:   corev1.LabelHostname,
		}}},
	}
}
