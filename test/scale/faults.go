package scale

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Fault is something that is wrong in every cluster of this package.
type Fault struct {
	Title   string
	Check   string // that names it as a root
	Subject string // of the root, KIND NAMESPACE/NAME
}

// Faults returns the three faults of a cluster of this size. Check must name them, and
// nothing else.
func (s Size) Faults() []Fault {
	return []Fault{
		{"kube-proxy crashes on one node", "kube-proxy-pod-unhealthy", "Pod kube-system/" + proxyPodName(s.sickNode())},
		{"the selector of one Service has a slip", "service-selector-mismatch",
			fmt.Sprintf("Service %s/%s", (&Cluster{size: s}).inNamespace(s.emptyService()), serviceName(s.emptyService()))},
		{"CoreDNS is killed for want of memory", "coredns-oom", "Deployment kube-system/coredns"},
	}
}

// Roots returns the root causes that a report of check -o json names, each as CHECK:
// SUBJECT, and the checks that could not be answered, each as CHECK: unknown, REASON.
func Roots(report []byte) ([]string, error) {
	var read struct {
		Roots []struct {
			Check   string
			Subject struct{ Kind, Namespace, Name string }
		}
		Results []struct{ Check, Status, Reason string }
	}
	if err := json.Unmarshal(report, &read); err != nil {
		return nil, fmt.Errorf("reading the report of check: %w", err)
	}
	var named []string
	for _, r := range read.Roots {
		named = append(named, fmt.Sprintf("%s: %s %s/%s", r.Check, r.Subject.Kind, r.Subject.Namespace, r.Subject.Name))
	}
	for _, r := range read.Results {
		if r.Status == "unknown" {
			named = append(named, fmt.Sprintf("%s: unknown, %s", r.Check, r.Reason))
		}
	}
	return named, nil
}

// Missed tells how what Roots returned differs from the faults; nil where it does not.
func (s Size) Missed(named []string) error {
	var errs []error
	rest := slices.Clone(named)
	for _, f := range s.Faults() {
		root := f.Check + ": " + f.Subject
		if i := slices.Index(rest, root); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
		} else {
			errs = append(errs, fmt.Errorf("check does not name %s (%s)", root, f.Title))
		}
	}
	for _, root := range rest {
		errs = append(errs, fmt.Errorf("check names what is no fault: %s", root))
	}
	return errors.Join(errs...)
}

func (s Size) sickNode() int     { return s.Nodes / 3 }
func (s Size) emptyService() int { return s.Services / 2 }

// slip leaves out a letter.
func slip(name string) string { return name[:2] + name[3:] }

// crash puts a pod's first container into CrashLoopBackOff after it ended in a way.
func crash(p *corev1.Pod, how corev1.ContainerStateTerminated) {
	st := &p.Status.ContainerStatuses[0]
	how.StartedAt, how.FinishedAt, how.ContainerID = *p.Status.StartTime, *p.Status.StartTime, st.ContainerID
	st.Ready, st.Started, st.RestartCount = false, ptr(false), 17
	st.LastTerminationState.Terminated = &how
	st.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff",
		Message: fmt.Sprintf("back-off 5m0s restarting failed container=%s pod=%s_%s(%s)", st.Name, p.Name, p.Namespace, p.UID)}}
	for i := range p.Status.Conditions {
		cond := &p.Status.Conditions[i]
		if cond.Type == corev1.PodReady || cond.Type == corev1.ContainersReady {
			cond.Status, cond.Reason = corev1.ConditionFalse, "ContainersNotReady"
			cond.Message = fmt.Sprintf("containers with unready status: [%s]", st.Name)
		}
	}
}
