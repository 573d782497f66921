package facts

import (
	"regexp"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/redact"
)

// redactTexts takes secrets out of an object's annotations, commands, variables and
// messages. What is a secret by its form is taken out of the whole object later.
func redactTexts(obj metav1.Object) {
	obj.SetAnnotations(redactAnnotations(obj.GetAnnotations()))
	switch o := obj.(type) {
	case *corev1.Pod:
		redactPod(&o.Spec)
		o.Status.Message = redact.Log(o.Status.Message)
		for _, list := range [][]corev1.ContainerStatus{o.Status.InitContainerStatuses, o.Status.ContainerStatuses, o.Status.EphemeralContainerStatuses} {
			for i := range list {
				redactState(&list[i].State)
				redactState(&list[i].LastTerminationState)
			}
		}
	case *appsv1.Deployment:
		redactTemplate(&o.Spec.Template)
	case *appsv1.DaemonSet:
		redactTemplate(&o.Spec.Template)
	case *appsv1.StatefulSet:
		redactTemplate(&o.Spec.Template)
	case *corev1.ConfigMap:
		o.BinaryData = nil
		for key, text := range o.Data {
			o.Data[key] = redactConfig(key, text)
		}
	case *corev1.Event:
		o.Message = redact.Log(o.Message)
	case *admissionv1.ValidatingWebhookConfiguration:
		for i := range o.Webhooks {
			o.Webhooks[i].ClientConfig.CABundle = nil
		}
	case *admissionv1.MutatingWebhookConfiguration:
		for i := range o.Webhooks {
			o.Webhooks[i].ClientConfig.CABundle = nil
		}
	case *apiregistrationv1.APIService:
		o.Spec.CABundle = nil
	}
}

func redactState(s *corev1.ContainerState) {
	if s.Waiting != nil {
		s.Waiting.Message = redact.Log(s.Waiting.Message)
	}
	if s.Terminated != nil {
		s.Terminated.Message = redact.Log(s.Terminated.Message)
	}
}

func redactTemplate(t *corev1.PodTemplateSpec) {
	t.Annotations = redactAnnotations(t.Annotations)
	redactPod(&t.Spec)
}

// redactAnnotations leaves out copies of whole objects, which hold what was cut from the
// object itself, whoever put them there.
func redactAnnotations(in map[string]string) map[string]string {
	for key, text := range in {
		if key == lastApplied || key == "objectset.rio.cattle.io/applied" || strings.Contains(text, `"spec":`) && strings.Contains(text, `"metadata":`) {
			delete(in, key)
			continue
		}
		switch {
		case redact.Holds(key, text):
			in[key] = redact.Hidden
		case strings.HasPrefix(text, "{") || strings.HasPrefix(text, "["):
			in[key] = redact.JSON(text)
		default:
			in[key] = redact.Log(text)
		}
	}
	return in
}

func redactPod(spec *corev1.PodSpec) {
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			redactContainer(&list[i])
		}
	}
	for i := range spec.EphemeralContainers {
		redactContainer((*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
}

func redactContainer(c *corev1.Container) {
	c.Command, c.Args = redact.Args(c.Command), redact.Args(c.Args)
	for i := range c.Env {
		redactVariable(&c.Env[i])
	}
	for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		if probe != nil {
			redactAction(probe.HTTPGet, probe.Exec)
		}
	}
	if l := c.Lifecycle; l != nil {
		for _, hook := range []*corev1.LifecycleHandler{l.PostStart, l.PreStop} {
			if hook != nil {
				redactAction(hook.HTTPGet, hook.Exec)
			}
		}
	}
}

func redactAction(get *corev1.HTTPGetAction, exec *corev1.ExecAction) {
	if get != nil {
		get.Path = redact.Log(get.Path)
		for i := range get.HTTPHeaders {
			get.HTTPHeaders[i].Value = ""
		}
	}
	if exec != nil {
		exec.Command = redact.Args(exec.Command)
	}
}

// switches are values by which plugins are told what to do, and nothing else.
var switches = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|enabled|disabled|always|never|none|crosssubnet|bird|vxlan|geneve|ipip|autodetect)$`)

// redactVariable leaves of an environment variable its name, and its value where that is a
// switch: checks go by those of network plugins. What was cut out does not look empty.
func redactVariable(v *corev1.EnvVar) {
	if v.Value != "" && (!switches.MatchString(v.Value) || redact.IsSecret(v.Name)) {
		v.Value = redact.Hidden
	}
}

// withoutHeaders leaves out of a kubelet's configuration what it sends to get pods by.
func withoutHeaders(c *kubeletv1beta1.KubeletConfiguration) *kubeletv1beta1.KubeletConfiguration {
	out := *c
	out.StaticPodURLHeader = nil
	return &out
}
