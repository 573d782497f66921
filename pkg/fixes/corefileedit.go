package fixes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// corefileSubject returns the ConfigMap that a finding is about and the Corefile in it.
func corefileSubject(s *facts.Snapshot, f checks.Finding) (*corev1.ConfigMap, string, error) {
	if why := s.Missing(facts.ConfigMaps); why != "" {
		return nil, "", fmt.Errorf("the Corefile could not be read: %s", why)
	}
	if f.Subject.Kind != facts.ConfigMaps.Kind {
		return nil, "", fmt.Errorf("%s is not about a Corefile that can be changed from here", f.Check.ID)
	}
	cm := s.ConfigMap(f.Subject.Namespace, f.Subject.Name)
	if cm == nil || cm.Data["Corefile"] == "" {
		return nil, "", errors.New("the ConfigMap has no Corefile")
	}
	return cm, cm.Data["Corefile"], nil
}

// corefilePlan makes the plan for an edited Corefile: pods that crash start with it at
// once, servers that run read it by themselves or must be told to.
func corefilePlan(s *facts.Snapshot, f checks.Finding, cm *corev1.ConfigMap, edited string) (Plan, error) {
	change, err := editConfigMap(cm, "Corefile", edited)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Changes: []Change{change}, Restarts: crashing(s, f), Rollouts: workloads(s, f)}
	if runs := func(p *facts.Pod) bool { return !slices.Contains(plan.Restarts, p) }; slices.ContainsFunc(podsOf(s, f), runs) {
		plan.Warnings, plan.Manual = takenUp(plan, edited)
	}
	return plan, nil
}

// starts refuses a Corefile that CoreDNS does not start with: what else is wrong with it is
// cured afterwards.
func starts(s *facts.Snapshot, f checks.Finding) error {
	for _, e := range coredns.CorefileError.Run(s) {
		if e.Subject == f.Subject {
			return fmt.Errorf("%s %s; cure %s first", e.Subject, e.Message, coredns.CorefileError.ID)
		}
	}
	return nil
}

// inConfigMap names the ConfigMap in an error about its Corefile.
func inConfigMap(cm *corev1.ConfigMap, err error) error {
	return fmt.Errorf("ConfigMap %s/%s: %w", cm.Namespace, cm.Name, err)
}

// editedCorefile returns what an edit makes of a Corefile.
func editedCorefile(text string, edit func(*corefile.Editor) error) (string, error) {
	e, err := corefile.NewEditor(text)
	if err != nil {
		return "", err
	}
	if err := edit(e); err != nil {
		return "", err
	}
	return e.Apply()
}

// lineOf writes a directive as it stands in its line, without its options.
func lineOf(d *corefile.Directive) string {
	return strings.Join(append([]string{d.Name}, d.Args...), " ")
}
