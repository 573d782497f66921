package coredns

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// fleet is the CoreDNS servers of a cluster and what they are made of.
type fleet struct {
	servers     []server
	pods        map[facts.Ref]*facts.Pod
	newest      map[facts.Ref]*facts.Pod // of each owner
	serving     map[facts.Ref]int        // of each owner's pods, how many answer
	deployments map[facts.Ref]*appsv1.Deployment
}

func newFleet(s *facts.Snapshot) *fleet {
	f := &fleet{pods: map[facts.Ref]*facts.Pod{}, newest: map[facts.Ref]*facts.Pod{}, serving: map[facts.Ref]int{},
		deployments: map[facts.Ref]*appsv1.Deployment{}}
	f.servers = slices.DeleteFunc(servers(s), func(v server) bool { return legacy(v.container.Image) })
	for _, v := range f.servers {
		p, of := v.pod, owner(v.pod)
		if f.pods[p.Ref()] != nil {
			continue // a pod of several servers
		}
		f.pods[p.Ref()] = p
		if young := f.newest[of]; young == nil || p.Created > young.Created {
			f.newest[of] = p
		}
		if serves(p) {
			f.serving[of]++
		}
	}
	for _, d := range s.Deployments {
		ref := facts.Ref{Kind: "Deployment", Namespace: d.Namespace, Name: d.Name}
		if f.newest[ref] != nil {
			f.deployments[ref] = d
		}
	}
	return f
}

// template returns what the Deployment of a server makes its pod of, or nil where that
// is not known. While a Deployment replaces its pods it describes the new ones alone.
func (f *fleet) template(p *facts.Pod) *corev1.PodSpec {
	d := f.deployments[owner(p)]
	if d == nil || d.Status.ObservedGeneration < d.Generation {
		return nil
	}
	hash := appsv1.DefaultDeploymentUniqueLabelKey
	if p.Labels[hash] != f.newest[owner(p)].Labels[hash] {
		return nil
	}
	return &d.Spec.Template.Spec
}

// container returns what the Deployment of a server makes its container of, or nil where
// that is not known.
func (f *fleet) container(v server) *corev1.Container {
	spec := f.template(v.pod)
	if spec == nil {
		return nil
	}
	for i := range spec.Containers {
		if spec.Containers[i].Name == v.container.Name {
			return &spec.Containers[i]
		}
	}
	return nil
}

// grade makes warnings of findings whose servers are not the only ones: another pod of
// the same owner still answers.
func (f *fleet) grade(findings []checks.Finding) []checks.Finding {
	for i := range findings {
		if f.othersAnswer(findings[i].Places) {
			findings[i].Severity = checks.Warning
		}
	}
	return findings
}

func (f *fleet) othersAnswer(sick []facts.Ref) bool {
	rest := map[facts.Ref]int{}
	for _, r := range sick {
		p := f.pods[r]
		if p == nil {
			continue
		}
		if _, seen := rest[owner(p)]; !seen {
			rest[owner(p)] = f.serving[owner(p)]
		}
		if serves(p) {
			rest[owner(p)]--
		}
	}
	for _, n := range rest {
		if n > 0 {
			return true
		}
	}
	return false
}

func serves(p *facts.Pod) bool { return p.Ready && !p.Deleting }

// together grades what is wrong now, and puts behind it, as warnings, what will be. Of a
// subject for which it has come about already the latter is not told.
func (f *fleet) together(now, later []checks.Finding) []checks.Finding {
	for _, l := range later {
		if !slices.ContainsFunc(now, func(n checks.Finding) bool { return n.Subject == l.Subject }) {
			l.Severity = checks.Warning
			now = append(now, l)
		}
	}
	return f.grade(now)
}

// told adds a finding to those that say the same of the same subject, if there is one.
func told(list []checks.Finding, f checks.Finding) []checks.Finding {
	i := slices.IndexFunc(list, func(o checks.Finding) bool { return o.Subject == f.Subject && o.Message == f.Message })
	if i < 0 {
		return append(list, f)
	}
	list[i].Places = append(list[i].Places, f.Places...)
	for _, e := range f.Evidence {
		if first := list[i].Evidence; !slices.Contains(first[:min(len(first), 8)], e) { // what is told of all alike comes first
			list[i].Evidence = append(list[i].Evidence, e)
		}
	}
	return list
}

// containerOf says where something stands that is told of a server's container.
func containerOf(r facts.Ref, name string) string { return r.String() + ", container " + name }
