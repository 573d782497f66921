package facts

import (
	"fmt"
	"slices"
	"time"
)

// ProbeNamespace is where pods are made that look deeper than the API. Policies of that
// namespace hold for what they try.
const ProbeNamespace = "kubectl-netdoctor"

// PeerPort is the port, TCP and UDP, on which probe pods answer each other, and that of the
// Service which leads back to them; BehindPort is where it leads to. No plugin of the catalogue
// uses either.
const (
	PeerPort   = 47806
	BehindPort = 47807
)

// Try is one thing that a probe pod tried, and what came of it. It is how traffic that no
// object of the API tells of becomes a fact.
type Try struct {
	// Node is where the pod ran that tried, Host whether it used the node's own network.
	Node string `json:"node"`
	Host bool   `json:"host,omitempty"`

	Kind TryKind `json:"kind"`

	// To is what it was sent to, as address:port; ToNode the node on which that is, where
	// it is on one; Target what the address is.
	To     string    `json:"to"`
	ToNode string    `json:"toNode,omitempty"`
	Target TryTarget `json:"target"`

	// Name is the name that was asked for, of questions to DNS servers alone.
	Name string `json:"name,omitempty"`

	// Size is how many bytes of payload each packet had, of TryMTU alone: the largest that
	// came through unbroken, 0 where none did.
	Size int `json:"size,omitempty"`

	// Sent and Lost count attempts and those of them that had no answer.
	Sent int `json:"sent"`
	Lost int `json:"lost"`

	// Worst is the longest time in which an answer came.
	Worst time.Duration `json:"worst,omitempty"`

	// Rcode is what a DNS server answered, such as SERVFAIL; Err what the last attempt in
	// vain ended with.
	Rcode string `json:"rcode,omitempty"`
	Err   string `json:"err,omitempty"`
}

// TryKind is how something was tried.
type TryKind string

// The kinds of tries.
const (
	TryTCP    TryKind = "tcp"     // a connection
	TryUDP    TryKind = "udp"     // a small packet to a probe pod, which sends it back
	TryMTU    TryKind = "mtu"     // packets of rising size that must not be broken up
	TryDNSUDP TryKind = "dns-udp" // a question over UDP
	TryDNSTCP TryKind = "dns-tcp" // a question over TCP
)

// TryTarget is what an address belongs to.
type TryTarget string

// The targets of tries.
const (
	TargetPod          TryTarget = "pod"           // another probe pod
	TargetNode         TryTarget = "node"          // a kubelet's port
	TargetAPIService   TryTarget = "api-service"   // the ClusterIP of Service default/kubernetes
	TargetAPIServer    TryTarget = "api-server"    // an endpoint of that Service
	TargetDNSService   TryTarget = "dns-service"   // the ClusterIP of the DNS Service
	TargetDNSPod       TryTarget = "dns-pod"       // a pod of cluster DNS
	TargetUpstream     TryTarget = "upstream"      // a server that cluster DNS forwards to
	TargetOwnService   TryTarget = "own-service"   // a Service that leads back to the pod that tries it
	TargetLocalService TryTarget = "local-service" // the same, tried by another pod of the node
)

// OK tells whether every attempt was answered, and by a DNS server without an error.
func (t Try) OK() bool {
	return t.Lost == 0 && t.Err == "" && slices.Contains([]string{"", "NOERROR", "NXDOMAIN"}, t.Rcode)
}

// Dead tells whether no attempt at all was answered.
func (t Try) Dead() bool { return t.Sent > 0 && t.Lost == t.Sent }

// String says what was tried, for evidence: "tcp to 10.244.1.5:8080".
func (t Try) String() string {
	text := fmt.Sprintf("%s to %s", t.Kind, t.To)
	if t.Name != "" {
		text += " for " + t.Name
	}
	return text
}
