package coredns

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// DeploymentMissing finds clusters in which nothing runs the DNS server, or in which it
// was scaled to nothing.
var DeploymentMissing = &checks.Check{
	ID:       "dns-deployment-missing",
	Title:    "A workload runs the cluster's DNS server",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/#check-if-the-dns-pod-is-running",
	Needs:    []*facts.Source{facts.SystemPods, facts.SystemServices, facts.SystemDeployments, facts.SystemDaemonSets},
	MayUse:   []*facts.Source{facts.SystemEndpointSlices, facts.Nodes, facts.Configz},
	When:     outside,
	Explains: []*checks.Check{symptom.DNSServiceNoEndpoints, symptom.DNSDown, symptom.DNSProbeCluster},
	ByHand:   []string{"kubectl -n kube-system get deployments,daemonsets,pods -l k8s-app=kube-dns"},
	Run:      findDeploymentMissing,
	Doc: `Cluster DNS is an ordinary workload: usually the Deployment coredns in kube-system, a DaemonSet on OpenShift.
If it was deleted, scaled to 0 replicas, or cannot make its pods, no name resolves anywhere in the cluster. It happens
during maintenance, by an autoscaler with a wrong table, or when kubeadm's addon phase was left out.

Cure: ` + "`kubectl -n kube-system scale deployment coredns --replicas=2`" + ` after a look at who scaled it (a
cluster-proportional-autoscaler or KEDA would do it again); a deleted one comes back with ` + "`kubeadm init phase addon coredns`" + `,
` + "`aws eks create-addon`" + `, or the Helm chart that installed it. Clusters whose DNS is served on the nodes or outside,
such as GKE with Cloud DNS, need none.`,
}

func findDeploymentMissing(s *facts.Snapshot) []checks.Finding {
	if present(s) {
		return nil
	}
	var places []facts.Ref
	for _, svc := range s.DNSServices() {
		places = append(places, facts.ServiceRef(svc))
	}
	deployments, daemonSets := workloads(s)
	if len(deployments)+len(daemonSets) == 0 {
		return []checks.Finding{{
			Subject:  facts.ClusterDNS(),
			Message:  "has no server: no Deployment or DaemonSet runs CoreDNS",
			Evidence: []checks.Evidence{checks.Quote("pods, Deployments and DaemonSets of kube-system", "none has the image of a DNS server, or labels that a DNS Service selects")},
			Remedy:   "Install it again: kubeadm init phase addon coredns, the provider's add-on, or its Helm chart.",
			Places:   places,
		}}
	}
	var out []checks.Finding
	for _, d := range deployments {
		if f, found := emptyDeployment(d, s.Taken); found {
			f.Places = places
			out = append(out, f)
		}
	}
	for _, d := range daemonSets {
		if s.Taken.Sub(d.CreationTimestamp.Time) >= grace {
			out = append(out, emptyDaemonSet(d, places))
		}
	}
	return out
}

// present tells whether anything runs, or answers for, cluster DNS: a server that fails
// is there, and is another check's.
func present(s *facts.Snapshot) bool {
	return len(s.DNSPods()) > 0 || slices.ContainsFunc(s.DNSServices(), func(svc *corev1.Service) bool {
		_, endpoints := s.ReadyEndpoints(svc)
		return endpoints > 0 || slices.ContainsFunc(s.Selected(svc.Namespace, svc.Spec.Selector), func(p *facts.Pod) bool { return !p.Finished() })
	})
}

// workloads returns what runs DNS servers: by their image, or because a DNS Service
// selects what they make.
func workloads(s *facts.Snapshot) ([]*appsv1.Deployment, []*appsv1.DaemonSet) {
	deployments, daemonSets := s.DNSDeployments(), s.DNSDaemonSets()
	for _, svc := range s.DNSServices() {
		selects := func(namespace string, labels map[string]string) bool {
			return len(svc.Spec.Selector) > 0 && namespace == svc.Namespace && facts.Matches(svc.Spec.Selector, labels)
		}
		for _, d := range s.Deployments {
			if selects(d.Namespace, d.Spec.Template.Labels) && !slices.Contains(deployments, d) {
				deployments = append(deployments, d)
			}
		}
		for _, d := range s.DaemonSets {
			if selects(d.Namespace, d.Spec.Template.Labels) && !slices.Contains(daemonSets, d) {
				daemonSets = append(daemonSets, d)
			}
		}
	}
	return deployments, daemonSets
}

func emptyDeployment(d *appsv1.Deployment, taken time.Time) (checks.Finding, bool) {
	ref := facts.Ref{Kind: "Deployment", Namespace: d.Namespace, Name: d.Name}
	if d.Spec.Replicas != nil && *d.Spec.Replicas == 0 {
		return checks.Finding{
			Subject:  ref,
			Message:  "is scaled to 0 replicas: nothing serves cluster DNS",
			Evidence: []checks.Evidence{checks.Quote(ref.String(), "spec.replicas: 0")},
			Remedy:   checks.Command("kubectl -n %s scale deployment %s --replicas=2; if an autoscaler set it to 0, correct that first.", d.Namespace, d.Name),
		}, true
	}
	if taken.Sub(d.CreationTimestamp.Time) < grace {
		return checks.Finding{}, false
	}
	f := checks.Finding{Subject: ref, Message: "makes no pods: nothing serves cluster DNS",
		Remedy: "Read why in kubectl describe on its ReplicaSet: a missing ServiceAccount, a quota or an admission webhook refuses the pods, or kube-controller-manager does not run."}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			f.Evidence = append(f.Evidence, checks.Quote(ref.String()+", condition ReplicaFailure", c.Reason+": "+c.Message))
		}
	}
	if len(f.Evidence) == 0 {
		f.Evidence = []checks.Evidence{checks.Quote(ref.String(), fmt.Sprintf("status.replicas: %d", d.Status.Replicas))}
	}
	return f, true
}

func emptyDaemonSet(d *appsv1.DaemonSet, places []facts.Ref) checks.Finding {
	ref := facts.Ref{Kind: "DaemonSet", Namespace: d.Namespace, Name: d.Name}
	return checks.Finding{
		Subject:  ref,
		Message:  "has no pods: nothing serves cluster DNS",
		Evidence: []checks.Evidence{checks.Quote(ref.String(), fmt.Sprintf("status.desiredNumberScheduled: %d", d.Status.DesiredNumberScheduled))},
		Remedy:   "Compare its node selector with the labels of the nodes, and read its events.",
		Places:   places,
	}
}
