package fixes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// dnsDeployment returns the Deployment that a repair of CoreDNS's pods has to change.
func dnsDeployment(s *facts.Snapshot, ref facts.Ref) (*appsv1.Deployment, error) {
	if why := s.Missing(facts.SystemDeployments); why != "" {
		return nil, fmt.Errorf("the Deployment could not be read: %s", why)
	}
	if ref.Kind != "Deployment" {
		return nil, fmt.Errorf("CoreDNS is run by %s here, not by a Deployment; change its pod template by hand: %s", ref, editCommand(ref))
	}
	d := s.Deployment(ref.Namespace, ref.Name)
	if d == nil {
		return nil, fmt.Errorf("%s is gone", ref)
	}
	return d, nil
}

// editCommand opens an object in an editor.
func editCommand(ref facts.Ref) string {
	return fmt.Sprintf("kubectl -n %s edit %s %s", checks.ShellWord(ref.Namespace), checks.ShellWord(strings.ToLower(ref.Kind)), checks.ShellWord(ref.Name))
}

// templateOf returns a copy of the Deployment whose pod template may be edited. A paused one
// would take the edit and make no pods of it.
func templateOf(s *facts.Snapshot, ref facts.Ref) (was, edited *appsv1.Deployment, err error) {
	d, err := dnsDeployment(s, ref)
	if err != nil {
		return nil, nil, err
	}
	if d.Spec.Paused {
		return nil, nil, fmt.Errorf("%s is paused, so that no change reaches its pods: kubectl -n %s rollout resume deployment %s",
			ref, checks.ShellWord(ref.Namespace), checks.ShellWord(ref.Name))
	}
	return d, d.DeepCopy(), nil
}

// dnsContainer returns the one container of a template that runs CoreDNS.
func dnsContainer(spec *corev1.PodSpec) (*corev1.Container, error) {
	var out *corev1.Container
	for i := range spec.Containers {
		if !facts.DNSImage(spec.Containers[i].Image) {
			continue
		}
		if out != nil {
			return nil, fmt.Errorf("both containers %s and %s run a DNS server; change the right one by hand", out.Name, spec.Containers[i].Name)
		}
		out = &spec.Containers[i]
	}
	if out == nil {
		return nil, errors.New("no container of the Deployment has an image of CoreDNS")
	}
	return out, nil
}

// rollout plans the change of a Deployment's pod template, which makes its pods anew one after
// another.
func rollout(was, edited *appsv1.Deployment) (Plan, error) {
	change, err := changeOf("Deployment", "apps/v1", was, edited)
	if err != nil {
		return Plan{}, err
	}
	return Plan{Changes: []Change{change}, Rollouts: []facts.Ref{change.Ref()}}, nil
}

// ownersOf returns what runs the pods in which a finding shows, each once.
func ownersOf(pods []*facts.Pod) []facts.Ref {
	var out []facts.Ref
	for _, p := range pods {
		if p.Owner.Kind != "" && !slices.Contains(out, p.Owner) {
			out = append(out, p.Owner)
		}
	}
	return out
}
