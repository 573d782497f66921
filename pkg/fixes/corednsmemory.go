package fixes

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CoreDNSMemory allows CoreDNS the memory that a cluster of this size asks for.
var CoreDNSMemory = &Fix{
	ID:     "coredns-memory",
	Title:  "Raise CoreDNS's memory limit to what the cluster's size asks for",
	For:    []*checks.Check{coredns.OOM, coredns.MemorySize},
	Risk:   Restarts,
	Settle: 20 * time.Second,
	Plan:   planCoreDNSMemory,
	Doc: `Sets resources.limits.memory of the CoreDNS container to half as much again as the formula that its makers publish,
(pods + Services) / 1000 + 54 MB, or / 250 + 56 MB with ` + "`pods verified`" + `, rounded up to 10Mi and never less than
kubeadm's 170Mi. The request is raised with it only where both were the same, so that what was guaranteed stays so. The rollout
makes the pods anew one after another.

It does not cure what takes memory besides the cluster's size: a forwarding loop, a flood of questions, slow upstreams, a large
cache. Where the limit is that high already it is refused. ` + "`kubeadm upgrade`" + ` takes it back unless the value is in its
patches; so does a chart or an add-on.`,
}

func planCoreDNSMemory(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	was, edited, err := templateOf(s, f.Subject)
	if err != nil {
		return Plan{}, err
	}
	c, err := dnsContainer(&edited.Spec.Template.Spec)
	if err != nil {
		return Plan{}, err
	}
	limit, sum, err := memoryLimit(s, f, c)
	if err != nil {
		return Plan{}, err
	}
	raiseMemory(c, limit)
	plan, err := rollout(was, edited)
	if err != nil {
		return Plan{}, err
	}
	plan.Warnings = []string{fmt.Sprintf("What takes memory besides the size of the cluster, %s: a forwarding loop, a flood of questions, slow upstreams or a large cache.", sum)}
	if s.ConfigMap("kube-system", "kubeadm-config") != nil {
		plan.Manual = []string{fmt.Sprintf("For kubeadm upgrade, which writes its own limit: put the value into a file corednsdeployment.yaml, "+
			`{"spec":{"template":{"spec":{"containers":[{"name":%q,"resources":{"limits":{"memory":%q}}}]}}}}, and name its directory with --patches.`, c.Name, limit.String())}
	}
	return plan, nil
}

// memoryLimit returns the limit that the container should have, and the sum it comes from.
func memoryLimit(s *facts.Snapshot, f checks.Finding, c *corev1.Container) (limit resource.Quantity, sum string, err error) {
	now, limited := c.Resources.Limits[corev1.ResourceMemory]
	if !limited {
		return limit, "", fmt.Errorf("container %s has no memory limit: its node had no memory left; free some there, or give CoreDNS a request of what it takes", c.Name)
	}
	pods := podsOf(s, f)
	if len(pods) == 0 {
		return limit, "", errors.New("the pods that the finding tells of are gone")
	}
	text, sum := coredns.MemoryFor(s, pods[0])
	if text == "" {
		return limit, "", errors.New("how much it takes is not known: the formula counts the pods and Services of all namespaces, and they were not all read (do not narrow by -n, and list them with rights for the whole cluster)")
	}
	limit = resource.MustParse(text)
	if limit.Cmp(now) <= 0 {
		return limit, "", fmt.Errorf("container %s may take %s already, and the cluster's size asks for no more (%s): look for what takes the rest, a forwarding loop, a flood of questions, slow upstreams or a large cache; "+
			"until then raise it by hand: kubectl -n %s set resources deployment %s -c %s --limits=memory=…",
			c.Name, now.String(), sum, checks.ShellWord(f.Subject.Namespace), checks.ShellWord(f.Subject.Name), checks.ShellWord(c.Name))
	}
	return limit, sum, nil
}

// raiseMemory sets the limit, and with it a request that was the same.
func raiseMemory(c *corev1.Container, limit resource.Quantity) {
	was := c.Resources.Limits[corev1.ResourceMemory]
	if request, requested := c.Resources.Requests[corev1.ResourceMemory]; requested && request.Cmp(was) == 0 {
		c.Resources.Requests[corev1.ResourceMemory] = limit
	}
	c.Resources.Limits[corev1.ResourceMemory] = limit
}
