package fixes

import (
	"errors"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CoreDNSProbePort lets a probe of CoreDNS ask where the plugin behind it listens.
var CoreDNSProbePort = &Fix{
	ID:    "coredns-probe-port",
	Title: "Let CoreDNS's probe ask the port where the Corefile answers it",
	For:   []*checks.Check{coredns.Readiness, coredns.Liveness},
	Risk:  Restarts,
	Plan:  planCoreDNSProbePort,
	Doc: `Sets the port of the readiness or liveness probe in the pod template to the one where the Corefile lets the plugin ready
or health listen. The Corefile stays as it is: somebody wrote another port there on purpose, such as for pods on the host's
network, and the probe was left behind. The rollout makes the pods anew one after another.

It does not cure a Corefile that lacks the plugin, or lets it listen on a loopback address, where no kubelet comes: these are
refused, and a fix of the Corefile cures them. Nor does it cure a probe that is answered too late. kubeadm upgrade writes the
probe of its own manifest again.`,
}

func planCoreDNSProbePort(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	pods := podsOf(s, f)
	owners := ownersOf(pods)
	if len(owners) != 1 {
		return Plan{}, errors.New("the pods whose probe it is do not belong to one Deployment; set its port by hand")
	}
	name, port := coredns.Answers(s, pods[0], f.Check)
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return Plan{}, fmt.Errorf("the plugin answers at no port that a kubelet could ask; the Corefile is what has to be changed. %s", f.Remedy)
	}
	was, edited, err := templateOf(s, owners[0])
	if err != nil {
		return Plan{}, err
	}
	probe := probeOf(&edited.Spec.Template.Spec, name, f.Check)
	if probe == nil || probe.HTTPGet == nil {
		return Plan{}, fmt.Errorf("the template of %s has no such probe over HTTP any more", owners[0])
	}
	to := intstr.FromInt32(int32(number))
	if probe.HTTPGet.Port == to {
		return Plan{}, fmt.Errorf("the probe asks port %s already: it is answered too late, or by something else", port)
	}
	probe.HTTPGet.Port = to
	return rollout(was, edited)
}

// probeOf returns the probe of a container that a check tells of, or nil.
func probeOf(spec *corev1.PodSpec, container string, check *checks.Check) *corev1.Probe {
	for i := range spec.Containers {
		switch c := &spec.Containers[i]; {
		case c.Name != container:
		case check == coredns.Liveness:
			return c.LivenessProbe
		default:
			return c.ReadinessProbe
		}
	}
	return nil
}
