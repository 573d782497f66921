package fixes

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CoreDNSScale gives CoreDNS two replicas where it has none or one.
var CoreDNSScale = &Fix{
	ID:    "coredns-scale",
	Title: "Scale CoreDNS up to two replicas",
	For:   []*checks.Check{coredns.DeploymentMissing, coredns.SingleReplica},
	Risk:  Harmless,
	Plan:  planCoreDNSScale,
	Doc: `Sets spec.replicas of the Deployment that runs CoreDNS to 2, the number that kubeadm installs and keeps; to 1 where it
had none and a single node would take its pods. Nothing that runs is restarted. ` + "`kubectl netdoctor undo`" + ` sets the
number that it had before.

It is refused where a cluster-proportional-autoscaler sets the number, or a HorizontalPodAutoscaler whose events name the
workload: they would take it back, and it has to be changed there. It does not make a Deployment that is gone, and it does not
cure what keeps one that wants pods from having them (a quota, a webhook, a missing ServiceAccount).`,
}

func planCoreDNSScale(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	if f.Subject == facts.ClusterDNS() {
		return Plan{}, errors.New("there is no Deployment to scale; install CoreDNS again: kubeadm init phase addon coredns, the provider's add-on, or its Helm chart")
	}
	d, err := dnsDeployment(s, f.Subject)
	if err != nil {
		return Plan{}, err
	}
	now := ptr.Deref(d.Spec.Replicas, 1)
	if f.Check == coredns.DeploymentMissing && now > 0 {
		return Plan{}, fmt.Errorf("%s wants %d replicas already, and something keeps it from making its pods: kubectl -n %s describe replicasets",
			f.Subject, now, checks.ShellWord(d.Namespace))
	}
	if err := scaledBy(s, d); err != nil {
		return Plan{}, err
	}
	want, warnings, err := replicasFor(s, d, now)
	if err != nil {
		return Plan{}, err
	}
	edited := d.DeepCopy()
	edited.Spec.Replicas = &want
	change, err := changeOf("Deployment", "apps/v1", d, edited)
	if err != nil {
		return Plan{}, err
	}
	return Plan{Changes: []Change{change}, Rollouts: []facts.Ref{f.Subject}, Warnings: append(warnings, fmt.Sprintf(
		"Who set the number may set it again: kubectl -n %s get hpa shows autoscalers, which are not read here.", checks.ShellWord(d.Namespace)))}, nil
}

// replicasFor returns how many replicas there should be. Where the nodes are not known, two.
func replicasFor(s *facts.Snapshot, d *appsv1.Deployment, now int32) (want int32, warnings []string, err error) {
	const usual = 2
	if s.Missing(facts.Nodes) != "" {
		return usual, nil, nil
	}
	switch n := coredns.Takers(s, &d.Spec.Template.Spec); {
	case n == 0:
		return 0, nil, fmt.Errorf("no node that is Ready would take a pod of Deployment %s/%s: cure the nodes first (kubectl get nodes; kubectl describe nodes | grep Taints)", d.Namespace, d.Name)
	case n == 1 && now == 0:
		return 1, []string{"One node would take its pods, so one replica is all there is: while that node is down, no name resolves."}, nil
	}
	return usual, nil, nil
}

// scaledBy says what sets the Deployment's number of replicas, or nil.
func scaledBy(s *facts.Snapshot, d *appsv1.Deployment) error {
	for _, scaler := range s.Deployments {
		if ptr.Deref(scaler.Spec.Replicas, 1) == 0 {
			continue
		}
		for i := range scaler.Spec.Template.Spec.Containers {
			c := &scaler.Spec.Template.Spec.Containers[i]
			if !proportional(c, scaler.Namespace, d) {
				continue
			}
			return fmt.Errorf("cluster-proportional-autoscaler %s/%s sets the number of replicas; change its table instead: kubectl -n %s edit configmap %s",
				scaler.Namespace, scaler.Name, checks.ShellWord(flagOf(c, "namespace", scaler.Namespace)), checks.ShellWord(flagOf(c, "configmap", scaler.Name)))
		}
	}
	i := slices.IndexFunc(s.Events, func(e *facts.Event) bool {
		return e.About.Kind == "HorizontalPodAutoscaler" && e.About.Namespace == d.Namespace && strings.Contains(e.About.Name, d.Name)
	})
	if i >= 0 {
		name := s.Events[i].About.Name
		return fmt.Errorf("HorizontalPodAutoscaler %s/%s sets the number of replicas; raise its minReplicas to 2 instead: kubectl -n %s edit hpa %s",
			d.Namespace, name, checks.ShellWord(d.Namespace), checks.ShellWord(name))
	}
	return nil
}

// proportional tells whether a container is a cluster-proportional-autoscaler of the
// Deployment. A target that the manifest does not spell out may be any.
func proportional(c *corev1.Container, namespace string, d *appsv1.Deployment) bool {
	image, _, _ := strings.Cut(path.Base(c.Image), ":")
	if !strings.HasPrefix(image, "cluster-proportional-autoscaler") || flagOf(c, "namespace", namespace) != d.Namespace {
		return false
	}
	target := flagOf(c, "target", "")
	if target == "" || strings.Contains(target, "$(") {
		return true
	}
	return slices.ContainsFunc(strings.Split(target, ","), func(one string) bool {
		return strings.EqualFold(strings.TrimSpace(one), "deployment/"+d.Name)
	})
}

// flagOf returns the value of a flag on a container's command line.
func flagOf(c *corev1.Container, name, without string) string {
	words := slices.Concat(c.Command, c.Args)
	for i, w := range words {
		flag, value, joined := strings.Cut(strings.TrimLeft(w, "-"), "=")
		switch {
		case flag != name || !strings.HasPrefix(w, "-"):
		case joined:
			return value
		case i+1 < len(words):
			return words[i+1]
		}
	}
	return without
}
