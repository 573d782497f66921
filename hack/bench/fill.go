package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	workers    = 64
	namespaces = 20
)

// filler makes the objects of a large cluster. Every pod is ready and behind a Service.
type filler struct {
	client kubernetes.Interface
	size   size
}

func fill(ctx context.Context, kubeconfig string, n size) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	f := filler{client, n}
	return errors.Join(
		each(namespaces, func(i int) error { return f.namespace(ctx, i) }),
		each(n.nodes, func(i int) error { return f.node(ctx, i) }),
		each(n.services, func(i int) error { return f.service(ctx, i) }),
		each(n.services, func(i int) error { return f.slice(ctx, i) }),
		each(n.pods, func(i int) error { return f.pod(ctx, i) }),
	)
}

// each calls create for 0 to n-1, many at a time, and returns the first error.
func each(n int, create func(int) error) error {
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	next := count(n)
	for range workers {
		wg.Go(func() {
			for i := range next {
				if err := create(i); err != nil {
					once.Do(func() { first = err })
				}
			}
		})
	}
	wg.Wait()
	return first
}

func count(n int) <-chan int {
	out := make(chan int, n)
	for i := range n {
		out <- i
	}
	close(out)
	return out
}

func (f filler) inNamespace(service int) string { return fmt.Sprintf("team-%02d", service%namespaces) }
func serviceName(i int) string                  { return fmt.Sprintf("orders-%04d", i) }
func nodeName(i int) string                     { return fmt.Sprintf("worker-%03d.example.internal", i) }
func podIP(i int) string                        { return fmt.Sprintf("10.128.%d.%d", i/250, i%250+1) }
func podName(i, service int) string             { return fmt.Sprintf("%s-6d5f7c9b4-%05d", serviceName(service), i) }

func (f filler) namespace(ctx context.Context, i int) error {
	_, err := f.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: f.inNamespace(i)}}, metav1.CreateOptions{})
	return err
}

func (f filler) node(ctx context.Context, i int) error {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: nodeName(i), Labels: map[string]string{"kubernetes.io/os": "linux", "topology.kubernetes.io/zone": fmt.Sprint("zone-", i%3)}},
		Spec:       corev1.NodeSpec{PodCIDR: fmt.Sprintf("10.128.%d.0/24", i)},
	}
	made, err := f.client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	made.Status = corev1.NodeStatus{
		// Loopback: a question to this node's kubelet is refused at once.
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("127.64.0.%d", i+1)}},
		Conditions:      []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastTransitionTime: metav1.Now()}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 10250}},
		NodeInfo:        corev1.NodeSystemInfo{OperatingSystem: "linux", KubeletVersion: "v1.37.2", ContainerRuntimeVersion: "containerd://2.4.2"},
	}
	_, err = f.client.CoreV1().Nodes().UpdateStatus(ctx, made, metav1.UpdateOptions{})
	return err
}

func (f filler) service(ctx context.Context, i int) error {
	_, err := f.client.CoreV1().Services(f.inNamespace(i)).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: serviceName(i), Labels: map[string]string{"app": serviceName(i)}},
		Spec: corev1.ServiceSpec{Selector: map[string]string{"app": serviceName(i)},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}}},
	}, metav1.CreateOptions{})
	return err
}

func (f filler) slice(ctx context.Context, i int) error {
	port, name := int32(8080), "http"
	es := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: serviceName(i) + "-x7k2p", Labels: map[string]string{discoveryv1.LabelServiceName: serviceName(i)}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
	}
	ready := true
	for p := i; p < f.size.pods; p += f.size.services {
		node := nodeName(p % f.size.nodes)
		es.Endpoints = append(es.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{podIP(p)}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}, NodeName: &node,
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: f.inNamespace(i), Name: podName(p, i)},
		})
	}
	_, err := f.client.DiscoveryV1().EndpointSlices(f.inNamespace(i)).Create(ctx, es, metav1.CreateOptions{})
	return err
}

func (f filler) pod(ctx context.Context, i int) error {
	service := i % f.size.services
	pods := f.client.CoreV1().Pods(f.inNamespace(service))
	env := make([]corev1.EnvVar, 0, 12)
	for e := range 12 { // pods of real applications carry a few dozen lines of these
		env = append(env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%02d", e), Value: "https://configuration.example.internal/of/this/service"})
	}
	made, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: podName(i, service), Labels: map[string]string{"app": serviceName(service), "pod-template-hash": "6d5f7c9b4"}},
		Spec: corev1.PodSpec{NodeName: nodeName(i % f.size.nodes), Containers: []corev1.Container{{
			Name: "app", Image: "registry.example.internal/shop/orders:2.14.3", Env: env,
			Ports:     []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}},
		}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	now := metav1.Now()
	made.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: podIP(i), PodIPs: []corev1.PodIP{{IP: podIP(i)}},
		Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: now}, {Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: now}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "app", Ready: true, Image: "registry.example.internal/shop/orders:2.14.3", ContainerID: "containerd://0123456789abcdef", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}}},
	}
	_, err = pods.UpdateStatus(ctx, made, metav1.UpdateOptions{})
	return err
}
