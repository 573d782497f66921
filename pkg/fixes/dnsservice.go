package fixes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// endpointsSettle is how long the endpoints of a Service take to follow a change of it,
// and the service proxy to follow them, with a margin.
const endpointsSettle = 5 * time.Second

// subjectService returns the Service that a finding is about.
func subjectService(s *facts.Snapshot, subject facts.Ref) (*corev1.Service, error) {
	if svc := s.Service(subject.Namespace, subject.Name); subject.Kind == "Service" && svc != nil {
		return svc, nil
	}
	return nil, fmt.Errorf("%s is not there", subject)
}

// changeService makes the plan of a change of one Service.
func changeService(before, after *corev1.Service) (Plan, error) {
	change, err := changeOf("Service", "v1", before, after)
	return Plan{Changes: []Change{change}}, err
}

// dnsWorkload is the Deployment or DaemonSet that runs cluster DNS in a namespace.
type dnsWorkload struct {
	ref      facts.Ref
	selector map[string]string
	object   *unstructured.Unstructured
	pods     []*facts.Pod
}

// dnsWorkloadIn returns the only workload of cluster DNS in a namespace with the labels
// that it selects its pods by.
func dnsWorkloadIn(s *facts.Snapshot, namespace string) (dnsWorkload, error) {
	var w dnsWorkload
	for _, p := range s.DNSPods() {
		if p.Namespace != namespace || p.Deleting {
			continue
		}
		if len(w.pods) > 0 && p.Owner != w.ref {
			return w, fmt.Errorf("DNS servers run in several workloads of namespace %s (%s and %s): which of them the Service is for only you can say",
				namespace, ownerWords(w.pods[0]), ownerWords(p))
		}
		w.ref = p.Owner
		w.pods = append(w.pods, p)
	}
	if len(w.pods) == 0 {
		return w, fmt.Errorf("no DNS server runs in namespace %s", namespace)
	}
	labels, of, err := workloadSelector(s, w.ref)
	if err != nil {
		return w, err
	}
	if len(labels.MatchLabels) == 0 || len(labels.MatchExpressions) > 0 {
		return w, fmt.Errorf("%s selects its pods by expressions, which a Service cannot", w.ref)
	}
	w.selector, w.object = labels.MatchLabels, of
	return w, w.alone(s)
}

func ownerWords(p *facts.Pod) string {
	if p.Owner.Kind == "" {
		return p.Ref().String()
	}
	return p.Owner.String()
}

// workloadSelector returns what a Deployment or DaemonSet selects its pods by.
func workloadSelector(s *facts.Snapshot, ref facts.Ref) (*metav1.LabelSelector, *unstructured.Unstructured, error) {
	var labels *metav1.LabelSelector
	var of *unstructured.Unstructured
	var err error
	switch ref.Kind {
	case "Deployment":
		if d := s.Deployment(ref.Namespace, ref.Name); d != nil {
			labels = d.Spec.Selector
			of, err = object("Deployment", "apps/v1", d)
		}
	case "DaemonSet":
		for _, d := range s.DaemonSets {
			if d.Namespace == ref.Namespace && d.Name == ref.Name {
				labels = d.Spec.Selector
				of, err = object("DaemonSet", "apps/v1", d)
			}
		}
	case "":
		return nil, nil, errors.New("the DNS servers belong to no Deployment or DaemonSet: which labels are theirs for good only you can say")
	}
	if labels == nil && err == nil {
		err = fmt.Errorf("%s, which runs the DNS servers, was not read, and its selector is not known", ref)
	}
	return labels, of, err
}

// alone says which pod that is none of the workload's its selector picks too, or nil.
func (w dnsWorkload) alone(s *facts.Snapshot) error {
	for _, p := range s.Selected(w.ref.Namespace, w.selector) {
		if !p.Finished() && !p.Deleting && !slices.Contains(w.pods, p) {
			return fmt.Errorf("the labels of %s (%s) are those of %s too, which is none of its pods", w.ref, labelWords(w.selector), p.Ref())
		}
	}
	return nil
}

// labelWords writes labels as kubectl does.
func labelWords(set map[string]string) string {
	var out []string
	for k, v := range set {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}
