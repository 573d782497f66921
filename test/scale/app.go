package scale

import (
	_ "embed"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

//go:embed app.yaml
var appYAML []byte

func ptr[T any](v T) *T { return &v }

func (c *Cluster) namespace(i int) Object {
	name := c.inNamespace(i)
	return c.finish(&corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/metadata.name": name, "team": name}},
		Spec:       corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}},
		Status:     corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
	}, "namespace", i)
}

func (c *Cluster) serviceAccount(i int) Object {
	return c.finish(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: c.inNamespace(i)}}, "account", i)
}

// address is how the API server keeps account of a Service's address. It would make what
// is missing and be busy with that while others are measured; and it takes away what is
// older than a minute and whose Service it does not know yet.
func (c *Cluster) address(i int) Object {
	obj := c.finish(&networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: serviceIP(i), Labels: map[string]string{
			"ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: c.inNamespace(i), Name: serviceName(i)}},
	}, "address", i)
	obj.SetCreationTimestamp(metav1.NewTime(c.now.Truncate(time.Second)))
	return obj
}

func labels(service int) map[string]string {
	name := serviceName(service)
	return map[string]string{"app": name, "app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "Helm"}
}

func (c *Cluster) service(i int) Object {
	app := serviceName(i)
	if i == c.size.emptyService() {
		app = slip(app)
	}
	return c.finish(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: serviceName(i), Namespace: c.inNamespace(i), Labels: labels(i),
			Annotations: map[string]string{"meta.helm.sh/release-name": serviceName(i), "meta.helm.sh/release-namespace": c.inNamespace(i)}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: serviceIP(i), ClusterIPs: []string{serviceIP(i)},
			IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, IPFamilyPolicy: ptr(corev1.IPFamilyPolicySingleStack),
			InternalTrafficPolicy: ptr(corev1.ServiceInternalTrafficPolicyCluster), SessionAffinity: corev1.ServiceAffinityNone,
			Selector: map[string]string{"app": app},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http"), Protocol: corev1.ProtocolTCP},
				{Name: "metrics", Port: 9090, TargetPort: intstr.FromString("metrics"), Protocol: corev1.ProtocolTCP}},
		},
	}, "service", i)
}

// slice is the one EndpointSlice of a Service.
func (c *Cluster) slice(i int) Object {
	meta := labels(i)
	meta[discoveryv1.LabelServiceName] = serviceName(i)
	meta[discoveryv1.LabelManagedBy] = "endpointslice-controller.k8s.io"
	es := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: serviceName(i) + "-" + digits(i, 5), GenerateName: serviceName(i) + "-", Namespace: c.inNamespace(i), Labels: meta,
			Annotations:     map[string]string{corev1.EndpointsLastChangeTriggerTime: c.made.UTC().Format(time.RFC3339)},
			OwnerReferences: owned("v1", "Service", serviceName(i), uid("service", i))},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{Name: ptr("http"), Port: ptr(int32(8080)), Protocol: ptr(corev1.ProtocolTCP)},
			{Name: ptr("metrics"), Port: ptr(int32(9090)), Protocol: ptr(corev1.ProtocolTCP)}},
	}
	for pod := i; pod < c.size.Pods && i != c.size.emptyService(); pod += c.size.Services {
		node, ready := c.size.node(pod), !c.size.crashes(pod)
		es.Endpoints = append(es.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{c.size.podIP(pod)},
			Conditions: discoveryv1.EndpointConditions{Ready: ptr(ready), Serving: ptr(ready), Terminating: ptr(false)},
			NodeName:   ptr(nodeName(node)), Zone: ptr(zone(node)),
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: c.inNamespace(i), Name: c.podName(pod), UID: uid("pod", pod)},
		})
	}
	return c.finish(es, "slice", i)
}

// owned says that an object has a controller.
func owned(version, kind, name string, uid types.UID) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: version, Kind: kind, Name: name, UID: uid, Controller: ptr(true), BlockOwnerDeletion: ptr(true)}}
}

// crashes tells whether an application's pod crashes. Every Service keeps pods that do
// not, so that this is nothing that check should speak of.
func (s Size) crashes(pod int) bool {
	service, replica := s.service(pod)
	return replica > 0 && (service+replica)%200 == 60
}

func (c *Cluster) pod(i int) Object {
	service, _ := c.size.service(i)
	ns, rs := c.inNamespace(service), replicaSet(service)
	p := c.app.DeepCopy()
	p.Name, p.Namespace, p.GenerateName = c.podName(i), ns, rs+"-"
	maps.Copy(p.Labels, labels(service))
	p.Labels["pod-template-hash"] = digits(service, 10)
	p.Annotations["checksum/config"] = digest(service)
	p.OwnerReferences = owned("apps/v1", "ReplicaSet", rs, uid("replicaset", service))
	shape := "pod with a mesh"
	if i%10 > 0 {
		shape = "pod"
		p.Spec.Containers, p.Status.ContainerStatuses = p.Spec.Containers[:1], p.Status.ContainerStatuses[:1]
	}
	p.Spec.Containers[0].Image = fmt.Sprintf("registry.example.com/%s/%s:v1.%d.%d", ns, serviceName(service), service%40, service%7)
	nameToken(&p.Spec, "kube-api-access-"+digits(i, 5))
	c.place(p, c.size.node(i), c.size.podIP(i), i)
	if c.size.crashes(i) {
		crash(p, corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"})
	}
	return c.finishAs(p, shape, "pod", i)
}

// nameToken gives a pod's volume with its token the name that it has in this pod alone.
func nameToken(spec *corev1.PodSpec, name string) {
	last := len(spec.Volumes) - 1
	for i := range spec.Containers {
		mounts := spec.Containers[i].VolumeMounts
		mounts[len(mounts)-1].Name = name
	}
	spec.Volumes[last].Name = name
}

// event is of a pod: of those that crash, and of probes and images of others.
func (c *Cluster) event(i int) Object {
	pod := i * 7 % c.size.Pods
	service, _ := c.size.service(pod)
	ns, name, node := c.inNamespace(service), c.podName(pod), nodeName(c.size.node(pod))
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: fmt.Sprintf("%s.%016x", name, 0x18ea92aa<<32|i), Namespace: ns},
		InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: ns, Name: name, UID: uid("pod", pod), FieldPath: "spec.containers{app}"},
		Type:           corev1.EventTypeNormal, Reason: "Pulled", Count: int32(i%30 + 1), FirstTimestamp: c.made, LastTimestamp: c.made,
		Message: fmt.Sprintf("Container image \"registry.example.com/%s/%s\" already present on machine and can be accessed by the pod", ns, serviceName(service)),
		Source:  corev1.EventSource{Component: "kubelet", Host: node}, ReportingController: "kubelet", ReportingInstance: node,
	}
	switch {
	case c.size.crashes(pod):
		e.Type, e.Reason, e.Message = corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container app in pod "+name+"_"+ns
	case i%4 == 1:
		e.Type, e.Reason = corev1.EventTypeWarning, "Unhealthy"
		e.Message = fmt.Sprintf("Readiness probe failed: Get \"http://%s:8080/ready\": context deadline exceeded"+
			" (Client.Timeout exceeded while awaiting headers)", c.size.podIP(pod))
	}
	return c.finish(e, "event", i)
}
