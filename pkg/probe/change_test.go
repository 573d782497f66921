package probe

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// TestChangeJob: a pod that changes a node gets what its one setting takes, and nothing else.
func TestChangeJob(t *testing.T) {
	for name, tt := range map[string]struct {
		setting facts.Setting
		mounts  map[string]bool // by directory of the node: whether read-only
		adds    []corev1.Capability
	}{
		"field": {facts.Setting{Path: "/var/lib/kubelet/config.yaml", Field: "resolvConf", Unit: "kubelet.service"},
			map[string]bool{"/var/lib/kubelet": false, "/run/systemd": true}, nil},
		"sysctl":      {facts.Setting{Path: "/proc/sys/net/ipv4/ip_forward"}, map[string]bool{"/proc/sys/net/ipv4": false}, []corev1.Capability{"NET_ADMIN"}},
		"sysctl file": {facts.Setting{Path: "/etc/sysctl.d/99-zz-netdoctor-x.conf"}, map[string]bool{"/etc/sysctl.d": false}, nil},
		"place":       {facts.Setting{Path: "/etc/cni/net.d/05-old.conflist", Moves: true}, map[string]bool{"/etc/cni/net.d": false}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tt.setting.Node = "quince-7"
			change := agent.Change{Setting: tt.setting, To: ptr.To("x"), Write: true}
			n := node("quince-7", func(n *corev1.Node) { n.Labels[corev1.LabelHostname] = "medlar-2" })
			job, err := changeJob("example.test/doctor:1", &home{}, n, change)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := json.Marshal(change)
			wantContainer := corev1.Container{
				Name: "change", Image: "example.test/doctor:1", Args: []string{"node", "change"}, ImagePullPolicy: corev1.PullIfNotPresent,
				Env: []corev1.EnvVar{
					{Name: NodeVariable, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}},
					{Name: agent.ChangeVariable, Value: string(text)},
				},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: tt.adds},
				},
			}
			spec := job.Spec.Template.Spec
			mounts := map[string]bool{}
			for i, v := range spec.Volumes {
				m := spec.Containers[0].VolumeMounts[i]
				if v.HostPath == nil || *v.HostPath.Type != corev1.HostPathDirectory || m.Name != v.Name || m.MountPath != "/host"+v.HostPath.Path || m.MountPropagation != nil {
					t.Errorf("%+v at %+v", v, m)
					continue
				}
				mounts[v.HostPath.Path] = m.ReadOnly
			}
			if !reflect.DeepEqual(mounts, tt.mounts) || len(spec.Containers[0].VolumeMounts) != len(spec.Volumes) {
				t.Errorf("mounts %v, want %v", mounts, tt.mounts)
			}
			c := spec.Containers[0]
			c.VolumeMounts, c.Resources = nil, corev1.ResourceRequirements{}
			if !reflect.DeepEqual(c, wantContainer) {
				t.Errorf("got %+v\nwant %+v", c, wantContainer)
			}
			change.Write = false
			if job, err := changeJob("example.test/doctor:1", &home{}, n, change); err != nil || slices.ContainsFunc(job.Spec.Template.Spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return !m.ReadOnly }) {
				t.Errorf("a look may write: %+v, %v", job, err)
			}
			spec.Volumes, spec.Containers = nil, nil
			if want := wantPod(); !reflect.DeepEqual(spec, want) {
				t.Errorf("got %+v\nwant %+v", spec, want)
			}
			if *job.Spec.ActiveDeadlineSeconds != 120 || *job.Spec.BackoffLimitPerIndex != 0 || *job.Spec.Completions != 1 || *job.Spec.TTLSecondsAfterFinished != 30 {
				t.Errorf("got %+v", job.Spec)
			}
		})
	}
}

// wantPod is all of a pod but its container and volumes.
func wantPod() corev1.PodSpec {
	return corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, ServiceAccountName: account, AutomountServiceAccountToken: ptr.To(false), EnableServiceLinks: ptr.To(false),
		TerminationGracePeriodSeconds: ptr.To[int64](25), HostNetwork: true, DNSPolicy: corev1.DNSDefault,
		NodeSelector: map[string]string{corev1.LabelOSStable: "linux"}, Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		SecurityContext: &corev1.PodSecurityContext{
			RunAsUser: ptr.To[int64](0), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			SELinuxOptions: &corev1.SELinuxOptions{Type: "spc_t"},
		},
		Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"quince-7"}}}}},
		}}},
	}
}

// TestBegan: what a pod's status says of whether its program has done anything.
func TestBegan(t *testing.T) {
	with := func(c corev1.ContainerStatus) corev1.PodStatus {
		return corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{c}}
	}
	for name, tt := range map[string]struct {
		status corev1.PodStatus
		want   bool
	}{
		"not placed":         {corev1.PodStatus{Phase: corev1.PodPending}, false},
		"refused by kubelet": {corev1.PodStatus{Phase: corev1.PodFailed, Reason: "OutOfcpu"}, false},
		"image missing":      {with(corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}}}), false},
		// What a kubelet says of a container that was never made when its pod ends.
		"never located": {with(corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "ContainerStatusUnknown"}}}), false},
		"running":       {corev1.PodStatus{Phase: corev1.PodRunning}, true},
		"succeeded":     {corev1.PodStatus{Phase: corev1.PodSucceeded}, true},
		"runs":          {with(corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}), true},
		"made":          {with(corev1.ContainerStatus{ContainerID: "containerd://1"}), true},
		"ended":         {with(corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(time.Unix(1, 0))}}}), true},
		"lost":          {corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}}, true},
	} {
		if began(&corev1.Pod{Status: tt.status}) != tt.want {
			t.Errorf("%s: %t", name, !tt.want)
		}
	}
}

// TestRefusedToMake: after a time-out the job may be there.
func TestRefusedToMake(t *testing.T) {
	jobs := schema.GroupResource{Resource: "jobs"}
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"forbidden": {apierrors.NewForbidden(jobs, "change-", errors.New("quota")), true},
		"time-out":  {apierrors.NewServerTimeout(jobs, "create", 1), false},
		"internal":  {apierrors.NewInternalError(errors.New("etcd")), false},
		"gateway":   {apierrors.NewGenericServerResponse(http.StatusBadGateway, "create", jobs, "", "", 0, true), false},
		"no answer": {errors.New("connection reset"), false},
		"nothing":   {nil, false},
	} {
		if refusedToMake(tt.err) != tt.want {
			t.Errorf("%s: %t", name, !tt.want)
		}
	}
}
