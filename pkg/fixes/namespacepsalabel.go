package fixes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// NamespacePSALabel lets a network plugin's namespace have the privileged pods that it needs.
var NamespacePSALabel = &Fix{
	ID:    "namespace-psa-label",
	Title: "Allow privileged pods in the network plugin's namespace",
	For:   []*checks.Check{cni.AgentMissing},
	Risk:  Restarts,
	Cost: "pod-security.kubernetes.io/enforce: privileged lets whoever may create pods in the plugin's namespace create ones that rule their node." +
		" The plugin's own manifest sets that label: its agent is such a pod.",
	Plan: planNamespacePSALabel,
	Doc: `Sets the label ` + "`pod-security.kubernetes.io/enforce`" + ` of the network plugin's namespace to privileged, as the plugin's own manifest does,
where the event of its DaemonSet says that its pods violate pod security, and restarts the DaemonSet: its controller, which has failed for a while, would
try again only after up to a quarter of an hour.

It lowers the security of that one namespace and needs --accept-risk. It is refused where no such event is there, in kube-system and default, and
where pods of others are in the namespace: they would be freed of the rule, too. A rule of the API server's own configuration (its
AdmissionConfiguration), of OpenShift or of a policy engine it does not lift. "kubectl netdoctor undo" puts the former label back.`,
}

// enforce is the label by which pod security is enforced in a namespace.
const enforce = "pod-security.kubernetes.io/enforce"

func planNamespacePSALabel(s *facts.Snapshot, _ checks.Finding, _ Params) (Plan, error) {
	if why := s.Missing(facts.Namespaces); why != "" {
		return Plan{}, fmt.Errorf("the namespaces could not be read: %s", why)
	}
	d := refusedSet(s)
	if d == nil {
		return Plan{}, errors.New("no event of the plugin's DaemonSet says that its pods violate pod security; what keeps its agent off the node is told by the finding")
	}
	i := slices.IndexFunc(s.Namespaces, func(n *corev1.Namespace) bool { return n.Name == d.Namespace })
	if i < 0 || facts.SystemNamespace(d.Namespace) && d.Namespace == "kube-system" || d.Namespace == "default" {
		return Plan{}, fmt.Errorf("%s is not in a namespace of its own; label that by hand, if its other pods allow it", setRef(d))
	}
	for _, p := range s.Pods {
		if p.Namespace == d.Namespace && plugins.Agent(p) == nil {
			return Plan{}, fmt.Errorf("namespace %s is not the plugin's alone: %s would be freed of the rule, too; label it by hand, or move the plugin", d.Namespace, p.Ref())
		}
	}
	edited := s.Namespaces[i].DeepCopy()
	if edited.Labels[enforce] == "privileged" {
		return Plan{}, fmt.Errorf("namespace %s allows privileged pods already; the rule stands elsewhere (AdmissionConfiguration of the API server, a policy engine)", d.Namespace)
	}
	if edited.Labels == nil {
		edited.Labels = map[string]string{}
	}
	edited.Labels[enforce] = "privileged"
	change, err := changeOf("Namespace", "v1", s.Namespaces[i], edited)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Changes: []Change{change}}
	return plan, plan.roll(s, d)
}

// refusedSet returns the plugin's DaemonSet whose pods pod security refuses, or nil.
func refusedSet(s *facts.Snapshot) *appsv1.DaemonSet {
	for _, d := range plugins.Detect(s) {
		for _, set := range d.DaemonSets {
			if e := s.LastWarning(setRef(set)); d.Plugin.Kind == plugins.Primary && e != nil && strings.Contains(e.Message, "violates PodSecurity") {
				return set
			}
		}
	}
	return nil
}
