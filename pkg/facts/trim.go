package facts

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// partMark is the annotation of an object of which so much was taken that it must not be
// written back.
const partMark = "netdoctor/read-in-part"

// InPart tells whether an object of a snapshot lacks parts of what the cluster holds, so
// that it must not be written back.
func InPart(obj metav1.Object) bool {
	_, found := obj.GetAnnotations()[partMark]
	return found
}

// trim takes from an object what no check reads and what is large: of a node the list of
// its images alone is half. What nodes have in common they share.
func (p *pool) trim(obj metav1.Object) {
	obj.SetManagedFields(nil)
	obj.SetLabels(p.table(obj.GetLabels()))
	obj.SetAnnotations(p.table(obj.GetAnnotations()))
	switch o := obj.(type) {
	case *corev1.Node:
		delete(o.Annotations, lastApplied)
		o.Status.Images, o.Status.VolumesInUse, o.Status.VolumesAttached = nil, nil, nil
		o.Status.Capacity, o.Status.Allocatable = nil, nil
		for i := range o.Status.Conditions {
			c := &o.Status.Conditions[i]
			c.Type, c.Status = corev1.NodeConditionType(p.one(string(c.Type))), corev1.ConditionStatus(p.one(string(c.Status)))
			c.Reason, c.Message = p.one(c.Reason), p.one(c.Message)
		}
		info := &o.Status.NodeInfo
		info.KernelVersion, info.OSImage, info.ContainerRuntimeVersion = p.one(info.KernelVersion), p.one(info.OSImage), p.one(info.ContainerRuntimeVersion)
		info.KubeletVersion, info.OperatingSystem, info.Architecture = p.one(info.KubeletVersion), p.one(info.OperatingSystem), p.one(info.Architecture)
	case *networkingv1.NetworkPolicy:
		delete(o.Annotations, lastApplied)
	case *appsv1.StatefulSet:
		o.Annotations = map[string]string{partMark: ""}
		o.Spec = appsv1.StatefulSetSpec{
			Replicas: o.Spec.Replicas, Selector: o.Spec.Selector, ServiceName: o.Spec.ServiceName,
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: o.Spec.Template.Labels}},
		}
		o.Status = appsv1.StatefulSetStatus{}
	case *appsv1.Deployment:
		if !SystemNamespace(o.Namespace) {
			o.Annotations = map[string]string{partMark: ""}
			trimTemplate(&o.Spec.Template.Spec)
		}
	}
}

// trimTemplate leaves of an application's pods what its containers are and listen on.
func trimTemplate(spec *corev1.PodSpec) {
	kept := make([]corev1.Container, len(spec.Containers))
	for i := range spec.Containers {
		c := &spec.Containers[i]
		kept[i] = corev1.Container{Name: c.Name, Image: c.Image, Ports: c.Ports}
	}
	*spec = corev1.PodSpec{Containers: kept, ServiceAccountName: spec.ServiceAccountName, HostNetwork: spec.HostNetwork, DNSPolicy: spec.DNSPolicy}
}
