package scale

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"
)

const (
	servicesPerNamespace = 50
	maxServices          = 60_000 // addresses of 10.96.0.0/16 that are left
	maxNodes             = 127 * 256
	firstSlot            = 10 // of a node's addresses; those below are the system's
	maxSlots             = 240
)

var words = []string{"checkout", "payment", "catalogue", "search", "delivery", "customer", "inventory", "recommend"}

func nodeName(n int) string { return fmt.Sprintf("ip-node-%05d.eu-west-1.compute.internal", n) }

// nodeIP is a loopback address: a question to the kubelet there is refused at once.
func nodeIP(n int) string { return fmt.Sprintf("127.64.%d.%d", n/250, n%250+1) }

func zone(n int) string { return fmt.Sprintf("eu-west-1%c", 'a'+n%3) }

// podNet is the first three bytes of the addresses of a node's pods.
func podNet(n int) string { return fmt.Sprintf("10.%d.%d", 128+n/256, n%256) }

func (c *Cluster) namespaces() int { return max(1, c.size.Services/servicesPerNamespace) }

func (c *Cluster) inNamespace(service int) string {
	return fmt.Sprintf("team-%03d", service%c.namespaces())
}

func serviceName(s int) string { return fmt.Sprintf("%s-%05d", words[s%len(words)], s) }

// serviceIP begins behind the addresses that the kubernetes Service and cluster DNS have.
func serviceIP(s int) string { return fmt.Sprintf("10.96.%d.%d", (s+256)/256, s%256) }

// service of a pod, and which of that Service's replicas the pod is.
func (s Size) service(pod int) (service, replica int) { return pod % s.Services, pod / s.Services }

// node of a pod. The replicas of a Service are spread over nodes.
func (s Size) node(pod int) int {
	service, replica := s.service(pod)
	return (service + 37*replica) % s.Nodes
}

// slots is how many addresses pods need on a node: nodes take turns within a replica, so
// a slot is a replica and a turn.
func (s Size) slots() int { return ((s.Pods-1)/s.Services + 1) * s.turns() }
func (s Size) turns() int { return (s.Services-1)/s.Nodes + 1 }

func (s Size) podIP(pod int) string {
	service, replica := s.service(pod)
	return fmt.Sprintf("%s.%d", podNet(s.node(pod)), firstSlot+replica*s.turns()+service/s.Nodes)
}

func replicaSet(service int) string { return serviceName(service) + "-" + digits(service, 10) }

func (c *Cluster) podName(pod int) string {
	service, _ := c.size.service(pod)
	return replicaSet(service) + "-" + digits(pod, 5)
}

// letters are those that Kubernetes makes names of.
const letters = "bcdfghjklmnpqrstvwxz2456789"

// digits writes a number so that it looks as if it were made up. Different numbers below
// 27 to the power of n are written differently.
func digits(number, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = letters[(number+i*7)%len(letters)]
		number /= len(letters)
	}
	return string(out)
}

func uid(kind string, i int) types.UID {
	sum := uint32(2166136261) // FNV-1a
	for _, b := range []byte(kind) {
		sum = (sum ^ uint32(b)) * 16777619
	}
	return types.UID(fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", uint32(i)*2654435761, sum>>16, sum&0xfff, i%4096, i))
}

// digest looks like a SHA-256.
func digest(i int) string {
	x := uint64(i+1) * 0x9E3779B97F4A7C15
	return fmt.Sprintf("%016x%016x%016x%016x", x, x^x>>7, x^x<<9, x*0xD6E8FEB86659FD93)
}
