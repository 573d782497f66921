package scale

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// dnsPods is how many replicas CoreDNS has.
const dnsPods = 2

// system is what a cluster's network stack consists of, as a captured cluster has it.
type system struct {
	node, proxy, plugin, dns Object   // one of each, the pattern for all
	others                   []Object // that are needed once
}

// systemFiles are the parts of a bundle that make up the network stack.
var systemFiles = []string{
	"namespaces.json", "nodes.json", "clusterroles.json", "clusterrolebindings.json",
	"kube-system/configmaps.json", "kube-system/daemonsets.json", "kube-system/deployments.json", "kube-system/endpointslices.json",
	"kube-system/pods.json", "kube-system/serviceaccounts.json", "kube-system/services.json",
	"kube-flannel/configmaps.json", "kube-flannel/daemonsets.json", "kube-flannel/pods.json",
	apiSlices,
}

// apiSlices holds the EndpointSlice of the API servers, which keep none here, beside those
// of an application.
const apiSlices = "default/endpointslices.json"

// readSystem reads a bundle. The range of pod addresses is exchanged for one that has
// room for thousands of nodes.
func readSystem(bundle fs.FS) (system, error) {
	var out system
	for _, file := range systemFiles {
		data, err := fs.ReadFile(bundle, file)
		if err != nil {
			return out, fmt.Errorf("reading the healthy cluster: %w", err)
		}
		var list struct{ Items []json.RawMessage }
		err = json.Unmarshal([]byte(strings.ReplaceAll(string(data), "10.244.0.0/16", "10.128.0.0/9")), &list)
		if err != nil {
			return out, fmt.Errorf("%s: %w", file, err)
		}
		for _, item := range list.Items {
			obj, err := decode[Object](item)
			if err != nil {
				return out, fmt.Errorf("%s: %w", file, err)
			}
			obj.SetResourceVersion("")
			if file != apiSlices || obj.GetName() == "kubernetes" {
				out.add(obj)
			}
		}
	}
	if out.node == nil || out.proxy == nil || out.plugin == nil || out.dns == nil {
		return out, errors.New("the healthy cluster lacks a node or a pod of kube-proxy, the network plugin or CoreDNS")
	}
	return out, nil
}

func (s *system) add(obj Object) {
	switch {
	case kind(obj) == "Node":
		s.node = obj
	case kind(obj) != "Pod":
		s.others = append(s.others, obj)
	case obj.GetLabels()["k8s-app"] == "kube-proxy":
		s.proxy = obj
	case obj.GetLabels()["k8s-app"] == "kube-dns":
		s.dns = obj
	default:
		s.plugin = obj
	}
}

func decode[T Object](data []byte) (T, error) {
	var none T
	obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		return none, err
	}
	typed, ok := obj.(T)
	if !ok {
		return none, fmt.Errorf("%T is not what was expected", obj)
	}
	return typed, nil
}

func kind(obj Object) string { return obj.GetObjectKind().GroupVersionKind().Kind }

// other is an object that is needed once, with its numbers put right.
func (c *Cluster) other(i int) Object {
	obj := c.system.others[i].DeepCopyObject().(Object)
	switch o := obj.(type) {
	case *appsv1.DaemonSet:
		n, ready := int32(c.size.Nodes), int32(c.size.Nodes)
		if o.Name == "kube-proxy" {
			ready--
		}
		o.Status = appsv1.DaemonSetStatus{ObservedGeneration: 1, CurrentNumberScheduled: n, DesiredNumberScheduled: n,
			UpdatedNumberScheduled: n, NumberReady: ready, NumberAvailable: ready, NumberUnavailable: n - ready}
	case *appsv1.Deployment:
		o.Spec.Replicas = ptr(int32(dnsPods))
		o.Status.Replicas, o.Status.UpdatedReplicas, o.Status.UnavailableReplicas = dnsPods, dnsPods, dnsPods
		o.Status.ReadyReplicas, o.Status.AvailableReplicas = 0, 0
	case *discoveryv1.EndpointSlice:
		if o.Name == "kubernetes" {
			break
		}
		pattern := o.Endpoints[0]
		o.Endpoints = nil
		for k := range dnsPods {
			e := *pattern.DeepCopy()
			e.Addresses, e.NodeName = []string{dnsPodIP(k)}, ptr(nodeName(k))
			e.Conditions.Ready, e.Conditions.Serving = ptr(false), ptr(false)
			e.TargetRef.Name, e.TargetRef.UID = dnsPodName(k), uid("dns", k)
			o.Endpoints = append(o.Endpoints, e)
		}
	}
	obj.SetCreationTimestamp(c.made)
	c.fields.add(obj, "other"+string(obj.GetUID()), c.made)
	return obj
}

func (c *Cluster) node(i int) Object {
	n := c.system.node.DeepCopyObject().(*corev1.Node)
	name, ip, net := nodeName(i), nodeIP(i), podNet(i)+".0/24"
	n.Name = name
	n.Labels["kubernetes.io/hostname"] = name
	n.Labels["topology.kubernetes.io/region"], n.Labels["topology.kubernetes.io/zone"] = "eu-west-1", zone(i)
	n.Labels["node.kubernetes.io/instance-type"] = "m6i.4xlarge"
	n.Annotations["flannel.alpha.coreos.com/public-ip"] = ip
	n.Annotations["flannel.alpha.coreos.com/backend-data"] = fmt.Sprintf(`{"VNI":1,"VtepMAC":"0e:5c:%02x:%02x:01:02"}`, i/256, i%256)
	n.Spec.PodCIDR, n.Spec.PodCIDRs = net, []string{net}
	n.Spec.ProviderID = fmt.Sprintf("aws:///%s/i-%017x", zone(i), i)
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}, {Type: corev1.NodeHostName, Address: name}}
	for k := range n.Status.Conditions {
		n.Status.Conditions[k].LastHeartbeatTime, n.Status.Conditions[k].LastTransitionTime = c.made, c.made
	}
	for k := range 20 { // a node lists many images
		n.Status.Images = append(n.Status.Images, corev1.ContainerImage{SizeBytes: int64(50_000_000 + k*1_234_567), Names: []string{
			fmt.Sprintf("registry.example.com/team-%03d/app@sha256:%s", k, digest(k)), fmt.Sprintf("registry.example.com/team-%03d/app:v1.%d.0", k, k)}})
	}
	return c.finish(n, "node", i)
}

func proxyPodName(node int) string { return "kube-proxy-" + digits(node, 5) }
func dnsPodName(i int) string      { return "coredns-56f54bb778-" + digits(i, 5) }
func dnsPodIP(i int) string        { return podNet(i) + ".2" }

func (c *Cluster) proxyPod(i int) Object {
	p := c.onNode(c.system.proxy, proxyPodName(i), i)
	if i == c.size.sickNode() {
		crash(p, corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"})
	}
	return c.finish(p, "kube-proxy", i)
}

func (c *Cluster) pluginPod(i int) Object {
	return c.finish(c.onNode(c.system.plugin, "kube-flannel-ds-"+digits(i, 5), i), "flannel", i)
}

func (c *Cluster) dnsPod(i int) Object {
	p := c.system.dns.DeepCopyObject().(*corev1.Pod)
	p.Name = dnsPodName(i)
	c.place(p, i, dnsPodIP(i), i)
	crash(p, corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"})
	return c.finish(p, "dns", i)
}

// onNode returns a pod of a DaemonSet, in the network and bound to the name of its node.
func (c *Cluster) onNode(pattern Object, name string, node int) *corev1.Pod {
	p := pattern.DeepCopyObject().(*corev1.Pod)
	p.Name = name
	p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values = []string{nodeName(node)}
	c.place(p, node, nodeIP(node), node)
	return p
}

// place makes a pod run on a node, with all that its status says of that.
func (c *Cluster) place(p *corev1.Pod, node int, ip string, i int) {
	p.Spec.NodeName = nodeName(node)
	p.Generation = 1
	st := &p.Status
	st.HostIP, st.HostIPs = nodeIP(node), []corev1.HostIP{{IP: nodeIP(node)}}
	st.PodIP, st.PodIPs = ip, []corev1.PodIP{{IP: ip}}
	st.StartTime = &c.made
	for k := range st.Conditions {
		st.Conditions[k].LastTransitionTime = c.made
	}
	for k := range st.ContainerStatuses {
		cs := &st.ContainerStatuses[k]
		cs.Image = p.Spec.Containers[k].Image
		cs.ImageID = cs.Image + "@sha256:" + digest(k)
		cs.ContainerID = "containerd://" + digest(i*2+k)
		cs.State.Running.StartedAt = c.made
	}
}

// finish gives an object what the API server and its clients would have added.
func (c *Cluster) finish(obj Object, kind string, i int) Object {
	return c.finishAs(obj, kind, kind, i)
}

// finishAs is finish for a kind whose objects do not all have the same fields.
func (c *Cluster) finishAs(obj Object, shape, kind string, i int) Object {
	obj.SetUID(uid(kind, i))
	obj.SetCreationTimestamp(c.made)
	c.fields.add(obj, shape, c.made)
	return obj
}
