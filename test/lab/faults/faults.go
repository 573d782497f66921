// Package faults breaks a real cluster's network in known ways and mends it by
// hand. Each fault says what a doctor has to find in the broken cluster.
package faults

import (
	"context"
	"errors"
)

// ErrNoShell is what Exec and Service of a Lab return whose nodes cannot be
// entered.
var ErrNoShell = errors.New("no shell on the nodes of this cluster")

// ControlPlane names the machine of the control plane to Exec. It is no node.
const ControlPlane = "cp"

// Lab is what a fault needs of a cluster.
type Lab interface {
	// Nodes returns the names of the cluster's nodes.
	Nodes() []string
	// Exec runs a command on a node, or on ControlPlane, and returns what it
	// printed.
	Exec(ctx context.Context, node string, command ...string) (string, error)
	// Kubectl runs kubectl as the cluster's administrator.
	Kubectl(ctx context.Context, stdin string, args ...string) (string, error)
	// Service does action, such as restart, to a service of a node, such as
	// kubelet.
	Service(ctx context.Context, node, service, action string) error
}

// Fault is one way in which a cluster's network breaks.
type Fault struct {
	ID    string // a word for command lines, also the name of its file
	Title string // what is wrong, in one line

	// Shell says that the fault needs a shell on a node, or the kernel that
	// labs run on, so that it cannot be made in a cluster of which only the API
	// is at hand.
	Shell bool

	// Slow says that it takes a minute and more, since a back-off must pass or the
	// time that checks give a cluster. Where labs share the faults, these come first.
	Slow bool

	// Impossible is why the fault cannot be made in a lab. The fault is then
	// kept for the list alone.
	Impossible string

	// Prepare makes the healthy objects that Break will break; nil where the
	// fault breaks what every cluster has. Break does the same where it was not
	// done before. Doing it early lets them grow as old as objects of real
	// clusters are, which a doctor takes into account.
	Prepare func(context.Context, Lab) error
	Break   func(context.Context, Lab) error // makes it
	Shown   func(context.Context, Lab) error // is nil once the cluster shows it; polled
	Mend    func(context.Context, Lab) error // undoes it by hand

	// Again makes the components read their broken configuration anew, after
	// a repair was taken back, or sets once more what a look with pods mended:
	// plugins set some of a node's kernel as they make a pod. Nil where there is
	// no Fix.
	Again func(context.Context, Lab) error

	Root    string   // the check that must be the one root; "" where no check can name the fault yet
	Depth   string   // "probe" or "host", where pods see more of the fault than the API does
	Deep    string   // the check that must be the one root at that depth; "" where none can name it yet
	Instead []string // the roots that are found where Root is ""; none where nothing is seen
	Fix     []string // arguments of "kubectl netdoctor fix" that cure it; nil where there is no fix
}

// All returns every fault, in the order of the list that they are taken from.
func All() []*Fault {
	return []*Fault{
		noPlugin(), conflistDeleted(), pluginBinaryMissing(), conflistInvalid(), conflistLeftover(), subnetEnvMissing(),
		loopResolvConf(), loopResolved(), loopCorefileSelf(), loopCorefileService(), corefileProxy(), corefileSyntax(), corednsRBAC(),
		corednsOOM(), corednsScaledToZero(), corednsReplicaDeaf(), corednsNoBind(), corefileKeyMissing(), dnsSelector(), dnsPorts(),
		dnsServiceDeleted(), kubeletClusterDNS(), kubeletResolvConf(), proxyMissing(), proxyConfigYAML(), proxyKubeconfig(), proxyKubeconfigRefused(),
		proxyIPVS(), proxyHostname(), proxyClusterCIDR(), vxlanBlocked(), ipForwardOff(), forwardDrop(),
		mtuTooLarge(), hairpinOff(), proxyRuleLost(), kubeletFlags(), flannelPublicIP(), serviceSelector(), serviceTargetPort(), podsNeverReady(), trafficPolicyLocal(), kubernetesEndpoints(),
	}
}

// Named returns the fault whose ID is id.
func Named(id string) (*Fault, bool) {
	for _, f := range All() {
		if f.ID == id {
			return f, true
		}
	}
	return nil, false
}
