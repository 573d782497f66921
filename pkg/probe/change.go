package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Change reads or writes one setting of a node, by a pod there that may write the setting's
// own directory and nothing else of the node. What becomes of the node is certain only where
// the error is nil or facts.ErrAsItWas.
func Change(ctx context.Context, config *rest.Config, c agent.Change, opts Options) (*agent.Changed, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, facts.AsItWas(err)
	}
	opts.Depth = facts.Host
	r := &run{client: client, s: new(facts.Snapshot), opts: opts, longest: longestChange, again: afterRestart}
	home, err := r.ready(ctx)
	if err != nil {
		return nil, facts.AsItWas(err)
	}
	defer home.close(ctx)
	n, err := client.CoreV1().Nodes().Get(ctx, c.Setting.Node, metav1.GetOptions{})
	if err != nil {
		return nil, facts.AsItWas(fmt.Errorf("reading Node %s: %w", c.Setting.Node, err))
	}
	job, err := changeJob(opts.Image, home, n, c)
	if err != nil {
		return nil, facts.AsItWas(err)
	}
	results, why := r.results(ctx, home, job, []*corev1.Node{n})
	result := results[n.Name]
	switch {
	case result == nil && !c.Write:
		return nil, facts.AsItWas(fmt.Errorf("looking at Node %s: %s", n.Name, strings.TrimSpace(why(n.Name)+" "+r.complaint(ctx))))
	case result == nil && home.neverRan(ctx):
		return nil, facts.AsItWas(fmt.Errorf("node %s: %s", n.Name, strings.TrimSpace(why(n.Name)+" "+r.complaint(ctx))))
	case result == nil:
		return nil, fmt.Errorf("what became of Node %s is not known: %s", n.Name, why(n.Name))
	case result.Changed == nil:
		return nil, fmt.Errorf("the pod on Node %s told nothing of a change", n.Name)
	}
	return result.Changed, nil
}

// afterRestart is how long a kubelet that was just restarted may take to hand out logs. Its pod
// stays for half a minute.
const afterRestart = 20 * time.Second

// ready opens the namespace for who may.
func (r *run) ready(ctx context.Context) (*home, error) {
	if err := r.allowed(ctx); err != nil {
		return nil, err
	}
	return r.open(ctx)
}

const (
	// longestChange is how long a pod may live that changes its node: as long as others until
	// it runs, and a minute for its work (cmd's nodeTime, and one restart after it).
	longestChange = 2 * time.Minute
	// lastWord is how long one may take to put back what it has begun, once it is told to end:
	// the restart of a unit (agent's restartTime), and some more; less than goodbye.
	lastWord = 25 * time.Second
)

// changeJob is a pod on one node that runs as root there, with the one directory that a
// setting lies in. It is in the node's network, because a node without one may be what is
// repaired. To write a sysctl of the network takes NET_ADMIN; to restart a unit, systemd's
// socket.
func changeJob(image string, home *home, n *corev1.Node, c agent.Change) (*batchv1.Job, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	job := jobOn(image, home, "change", []*corev1.Node{n}, []string{"node", "change"})
	pod := &job.Spec.Template.Spec
	asRoot(pod)
	container := &pod.Containers[0]
	container.Env = append(container.Env, corev1.EnvVar{Name: agent.ChangeVariable, Value: string(text)})
	if strings.HasPrefix(c.Setting.Path, "/proc/") {
		container.SecurityContext.Capabilities.Add = []corev1.Capability{"NET_ADMIN"}
	}
	// By its name: a label is a node's own word, and two may have one.
	pod.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
			{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{n.Name}},
		}}},
	}}}
	pod.TerminationGracePeriodSeconds = ptr.To(int64(lastWord.Seconds()))
	job.Spec.ActiveDeadlineSeconds = ptr.To(int64(longestChange.Seconds()))
	mount(pod, "setting", path.Dir(c.Setting.Path), !c.Write)
	if c.Setting.Unit != "" {
		mount(pod, "systemd", "/run/systemd", true)
	}
	return job, nil
}

// asRoot lets a pod run as root in the network of its node.
func asRoot(pod *corev1.PodSpec) {
	pod.HostNetwork, pod.DNSPolicy = true, corev1.DNSDefault
	pod.SecurityContext = &corev1.PodSecurityContext{
		RunAsUser: ptr.To[int64](0), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		// Without it SELinux keeps a container from the node's files; where there is no
		// SELinux it means nothing.
		SELinuxOptions: &corev1.SELinuxOptions{Type: "spc_t"},
	}
}

// mount gives a pod a directory of its node, which must be there: one that is missing would
// be made.
func mount(pod *corev1.PodSpec, name, dir string, readOnly bool) {
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		HostPath: &corev1.HostPathVolumeSource{Path: dir, Type: ptr.To(corev1.HostPathDirectory)},
	}})
	c := &pod.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: Mounted + dir, ReadOnly: readOnly})
}
