package coredns

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// BackupDrift finds CoreDNS that runs with the copy that an upgrade made of its Corefile.
var BackupDrift = &checks.Check{
	ID:       "coredns-backup-drift",
	Title:    "CoreDNS runs with the Corefile, not with a copy from before an upgrade",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/coredns/",
	Needs:    []*facts.Source{facts.SystemPods, facts.SystemDeployments, facts.ConfigMaps},
	ByHand: []string{"kubectl -n kube-system get deployment coredns -o jsonpath='{.spec.template.spec.volumes}'",
		"kubectl -n kube-system get configmap coredns -o yaml"},
	Run: findBackupDrift,
	Doc: `When ` + "`kubeadm upgrade`" + ` has to migrate the Corefile, it keeps the old text under the key ` + "`Corefile-backup`" + ` of the same
ConfigMap, and points the Deployment at that key until the new Deployment is in place. If the upgrade breaks off in between,
the Deployment stays so: CoreDNS runs with the text from before, and whatever is edited under ` + "`Corefile`" + ` has no effect, which
nobody is told. The other checks of the Corefile read the key ` + "`Corefile`" + `, too.

Cure: finish the upgrade (` + "`kubeadm upgrade apply`" + `), which puts the Deployment right. By hand: look that the text under ` + "`Corefile`" + ` is
what is wanted, and let the volume of the Deployment take that key again (` + "`kubectl -n kube-system edit deployment coredns`" + `).
The key ` + "`Corefile-backup`" + ` alone, which no pod mounts, does no harm.`,
}

// backupKey is where kubeadm keeps the old text (k8s.io/kubernetes
// cmd/kubeadm/app/phases/addons/dns).
const backupKey = "Corefile-backup"

func findBackupDrift(s *facts.Snapshot) []checks.Finding {
	fleet := newFleet(s)
	var out []checks.Finding
	for _, v := range fleet.servers {
		spec := fleet.template(v.pod)
		if spec == nil || v.pod.Deleting {
			continue
		}
		cm := backupOf(s, v.pod, spec)
		if cm == nil {
			continue
		}
		differ := "the two texts are the same"
		if cm.Data["Corefile"] != cm.Data[backupKey] {
			differ = "the two texts differ"
		}
		out = told(out, checks.Finding{
			Subject: owner(v.pod), Message: "mounts " + backupKey + " as its Corefile: what is written under the key Corefile has no effect",
			Evidence: []checks.Evidence{checks.Quote(owner(v.pod).String()+", volumes", fmt.Sprintf("configMap %s, key %s", cm.Name, backupKey)),
				checks.Quote(configRef(cm).String(), "keys Corefile and "+backupKey+": "+differ)},
			Remedy: checks.Command("Finish the upgrade with kubeadm upgrade apply, or see that the key Corefile holds what is wanted and let the volume take it: kubectl -n %s edit deployment %s.",
				v.pod.Namespace, owner(v.pod).Name),
			Places: []facts.Ref{v.pod.Ref()},
		})
	}
	return out
}

// backupOf returns the ConfigMap that a pod mounts the backup of, beside which the Corefile
// itself stands, or nil.
func backupOf(s *facts.Snapshot, p *facts.Pod, spec *corev1.PodSpec) *corev1.ConfigMap {
	for i := range spec.Volumes {
		from := spec.Volumes[i].ConfigMap
		if from == nil {
			continue
		}
		cm := s.ConfigMap(p.Namespace, from.Name)
		for _, item := range from.Items {
			if item.Key == backupKey && cm != nil && cm.Data["Corefile"] != "" && cm.Data[backupKey] != "" {
				return cm
			}
		}
	}
	return nil
}
