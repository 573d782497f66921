package facts

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// StandsOn returns what an object directly needs in order to work: a Service its pods,
// a pod its node, its controller and what it mounts, everything the cluster. A cause
// explains a symptom only where the symptom's subject is, or stands on, the cause's.
func (s *Snapshot) StandsOn(r Ref) []Ref {
	switch r.Kind {
	case "Cluster":
		return nil
	case "ClusterDNS":
		return s.underDNS()
	case "Service":
		return s.underService(r)
	case "Pod":
		return s.underPod(r)
	case "Deployment", "DaemonSet":
		return s.underWorkload(r)
	case "ServiceAccount":
		return s.underServiceAccount(r)
	case "ClusterRoleBinding":
		return s.underBinding(r)
	}

	return []Ref{Cluster()}
}

// Under returns the object itself and everything that it stands on, directly or not.
func (s *Snapshot) Under(r Ref) map[Ref]bool {
	seen := map[Ref]bool{r: true}
	for queue := []Ref{r}; len(queue) > 0; queue = queue[1:] {
		for _, next := range s.StandsOn(queue[0]) {
			if !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	return seen
}

func (s *Snapshot) underDNS() []Ref {
	out := []Ref{Cluster()}
	for _, svc := range s.DNSServices() {
		out = append(out, ServiceRef(svc))
	}
	for _, p := range s.DNSPods() {
		out = append(out, p.Ref())
	}
	return out
}

func (s *Snapshot) underService(r Ref) []Ref {
	svc := s.Service(r.Namespace, r.Name)
	if svc == nil {
		return []Ref{Cluster()}
	}
	var out []Ref
	for _, p := range s.Selected(svc.Namespace, svc.Spec.Selector) {
		out = append(out, p.Ref())
	}
	for _, es := range s.SlicesOf(svc) {
		for _, ep := range es.Endpoints {
			if ep.Pod != "" {
				out = append(out, Ref{Kind: "Pod", Namespace: es.Namespace, Name: ep.Pod})
			}
		}
	}
	return append(out, Cluster())
}

func (s *Snapshot) underPod(r Ref) []Ref {
	p := s.Pod(r.Namespace, r.Name)
	if p == nil {
		return []Ref{Cluster()}
	}
	out := []Ref{Cluster()}
	switch {
	case p.Node != "":
		out = append(out, NodeRef(p.Node))
	case s.nowhereToRun():
		for _, n := range s.Nodes {
			out = append(out, NodeRef(n.Name))
		}
	}
	if p.Owner.Kind != "" {
		out = append(out, p.Owner)
	}
	if p.ServiceAccount != "" {
		out = append(out, Ref{Kind: "ServiceAccount", Namespace: p.Namespace, Name: p.ServiceAccount})
	}
	for _, cm := range p.ConfigMaps {
		out = append(out, Ref{Kind: "ConfigMap", Namespace: p.Namespace, Name: cm})
	}
	return out
}

// nowhereToRun tells whether no node accepts new pods, so that a pod without a node
// waits for all of them alike.
func (s *Snapshot) nowhereToRun() bool {
	return !slices.ContainsFunc(s.Nodes, func(n *corev1.Node) bool {
		c := NodeReady(n)
		return c != nil && c.Status == corev1.ConditionTrue && !n.Spec.Unschedulable
	})
}

func (s *Snapshot) underWorkload(r Ref) []Ref {
	spec := s.template(r)
	if spec == nil {
		return []Ref{Cluster()}
	}
	out := []Ref{Cluster()}
	if spec.ServiceAccountName != "" {
		out = append(out, Ref{Kind: "ServiceAccount", Namespace: r.Namespace, Name: spec.ServiceAccountName})
	}
	for _, v := range spec.Volumes {
		if v.ConfigMap != nil {
			out = append(out, Ref{Kind: "ConfigMap", Namespace: r.Namespace, Name: v.ConfigMap.Name})
		}
	}
	return out
}

func (s *Snapshot) template(r Ref) *corev1.PodSpec {
	if r.Kind == "Deployment" {
		if d := s.Deployment(r.Namespace, r.Name); d != nil {
			return &d.Spec.Template.Spec
		}
		return nil
	}
	for _, d := range s.DaemonSets {
		if d.Namespace == r.Namespace && d.Name == r.Name {
			return &d.Spec.Template.Spec
		}
	}
	return nil
}

func (s *Snapshot) underServiceAccount(r Ref) []Ref {
	out := []Ref{Cluster()}
	for _, b := range s.ClusterRoleBindings {
		for _, sub := range b.Subjects {
			if sub.Kind == "ServiceAccount" && sub.Namespace == r.Namespace && sub.Name == r.Name {
				out = append(out, Ref{Kind: "ClusterRoleBinding", Name: b.Name})
			}
		}
	}
	return out
}

func (s *Snapshot) underBinding(r Ref) []Ref {
	out := []Ref{Cluster()}
	for _, b := range s.ClusterRoleBindings {
		if b.Name == r.Name && b.RoleRef.Kind == "ClusterRole" {
			out = append(out, Ref{Kind: "ClusterRole", Name: b.RoleRef.Name})
		}
	}
	return out
}

// Weight says how much stands on a subject: it counts Services and pods. A report
// puts what carries more first.
func (s *Snapshot) Weight(r Ref) int {
	switch r.Kind {
	case "Cluster":
		return len(s.Pods) + len(s.Services)
	case "Node":
		return len(s.PodsOn(r.Name))
	case "ClusterDNS", "ConfigMap", "Deployment", "DaemonSet", "Service":
		if slices.Contains(s.systemNamespaces(), r.Namespace) || r.Kind == "ClusterDNS" {
			return len(s.Pods)
		}
	}
	return 1
}

// ServiceRef names a Service.
func ServiceRef(svc *corev1.Service) Ref {
	return Ref{Kind: "Service", Namespace: svc.Namespace, Name: svc.Name}
}
