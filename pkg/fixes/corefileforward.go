package fixes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// loopWindow is how long to watch servers that are Ready for a loop. The loop plugin asks
// itself at once when it starts, and a loop shows in that one exchange; where nobody
// upstream answers it tries again, each time after three seconds, for 30 seconds (coredns
// plugin/loop/setup.go): then the repair is judged by what the log says of upstream.
const loopWindow = 5 * time.Second

// CorefileForward makes CoreDNS ask real DNS servers instead of the resolv.conf that
// leads back to itself.
var CorefileForward = &Fix{
	ID:     "corefile-forward",
	Title:  "Forward to real DNS servers instead of the node's resolv.conf",
	For:    []*checks.Check{coredns.UpstreamSelf, coredns.Loop},
	Risk:   Harmless,
	Settle: loopWindow,
	Plan:   planCorefileForward,
	Doc: `Replaces the targets of ` + "`forward`" + ` in the Corefile that lead back to CoreDNS (/etc/resolv.conf, a loopback
address) by DNS servers: those of ` + "`--upstream`" + `, or those that the nodes' resolver files name where a bundle has them. It changes
that one word and keeps every comment and space. Pods in CrashLoopBackOff are deleted, so that they start with it at once.

It cures CoreDNS alone. Other pods with dnsPolicy Default still get the nodes' resolv.conf; the lasting cure is resolvConf in the
kubelet's configuration, which the plan prints.`,
}

func planCorefileForward(s *facts.Snapshot, f checks.Finding, params Params) (Plan, error) {
	if why := s.Missing(facts.ConfigMaps); why != "" {
		return Plan{}, fmt.Errorf("the Corefile could not be read: %s", why)
	}
	cm, text := corefileOf(s, f)
	if cm == nil {
		return Plan{}, fmt.Errorf("no ConfigMap with a Corefile was found")
	}
	servers, err := upstreams(s, f, params)
	if err != nil {
		return Plan{}, err
	}
	rewrite := corefile.Rewrite{To: servers, Self: true, KeepFile: f.Check == coredns.UpstreamSelf && f.Subject.Kind == facts.ConfigMaps.Kind}
	for _, p := range podsOf(s, f) {
		rewrite.Own = slices.AppendSeq(rewrite.Own, maps.Keys(coredns.OwnAddresses(s, p)))
	}
	edited, _, err := rewrite.Apply(text)
	if err != nil {
		return Plan{}, fmt.Errorf("ConfigMap %s/%s: %w", cm.Namespace, cm.Name, err)
	}
	change, err := editConfigMap(cm, "Corefile", edited)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Changes: []Change{change}, Restarts: crashing(s, f), Rollouts: workloads(s, f)}
	if f.Check == coredns.UpstreamSelf {
		plan.Warnings, plan.Manual = takenUp(plan, text)
	} else {
		plan.Warnings, plan.Manual = stillBroken(s), kubeletCure(s, f)
	}
	return plan, nil
}

// workloads returns what runs the pods in which a finding shows.
func workloads(s *facts.Snapshot, f checks.Finding) []facts.Ref {
	refs := []facts.Ref{f.Subject}
	for _, p := range podsOf(s, f) {
		refs = append(refs, p.Owner)
	}
	var out []facts.Ref
	for _, r := range refs {
		if (r.Kind == "Deployment" || r.Kind == "DaemonSet") && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// takenUp says when servers that run take up a new Corefile.
func takenUp(plan Plan, text string) (warnings, manual []string) {
	file, err := corefile.Parse(text)
	reloads := err == nil && slices.ContainsFunc(file.Blocks, func(b *corefile.Block) bool { return len(b.Find("reload")) > 0 })
	if reloads {
		return []string{"Servers that run read the new Corefile within two minutes (the kubelet writes it into the pod, then the plugin reload sees it)."}, nil
	}
	for _, r := range plan.Rollouts {
		manual = append(manual, fmt.Sprintf("Servers that run keep their Corefile, since it has no plugin reload: kubectl -n %s rollout restart %s %s",
			checks.ShellWord(r.Namespace), strings.ToLower(r.Kind), checks.ShellWord(r.Name)))
	}
	return nil, manual
}

// corefileOf returns the ConfigMap with the Corefile that the finding's pods run with:
// the one that they mount, so that nobody's copy is edited instead.
func corefileOf(s *facts.Snapshot, f checks.Finding) (*corev1.ConfigMap, string) {
	for _, p := range podsOf(s, f) {
		for _, name := range p.ConfigMaps {
			if cm := s.ConfigMap(p.Namespace, name); cm != nil && cm.Data["Corefile"] != "" {
				return cm, cm.Data["Corefile"]
			}
		}
	}
	return s.Corefile()
}

func editConfigMap(cm *corev1.ConfigMap, key, value string) (Change, error) {
	before, err := object("ConfigMap", "v1", cm)
	if err != nil {
		return Change{}, err
	}
	edited := cm.DeepCopy()
	edited.Data[key] = value
	after, err := object("ConfigMap", "v1", edited)
	return Change{Before: before, After: after}, err
}

// stillBroken names the pods that go on with the nodes' resolv.conf.
func stillBroken(s *facts.Snapshot) []string {
	dns := s.DNSPods()
	var names []string
	for _, p := range s.Pods {
		if p.DNSPolicy == corev1.DNSDefault && !p.HostNetwork && !p.Finished() && !slices.Contains(dns, p) {
			names = append(names, p.Namespace+"/"+p.Name)
		}
	}
	const shown = 3
	list := strings.Join(names[:min(len(names), shown)], ", ")
	if more := len(names) - shown; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	seen := ""
	if s.Scope != "" {
		seen = fmt.Sprintf(" Of the namespaces outside the system's, only %s was looked at.", s.Scope)
	}
	switch len(names) {
	case 0:
		return []string{"Pods with dnsPolicy Default still get the nodes' resolv.conf; at this moment there is none but CoreDNS." + seen}
	case 1:
		return []string{fmt.Sprintf("1 other pod with dnsPolicy Default still gets the nodes' resolv.conf: %s.%s", list, seen)}
	}
	return []string{fmt.Sprintf("%d other pods with dnsPolicy Default still get the nodes' resolv.conf: %s.%s", len(names), list, seen)}
}

// kubeletCure prints the change at the kubelets that lasts, with each node's values.
func kubeletCure(s *facts.Snapshot, f checks.Finding) []string {
	var out []string
	seen := map[string]bool{}
	for _, p := range podsOf(s, f) {
		if p.Node == "" || seen[p.Node] {
			continue
		}
		seen[p.Node] = true
		now := "/etc/resolv.conf by default"
		if k := s.Configz[p.Node]; k != nil && k.ResolverConfig != nil {
			now = "now " + *k.ResolverConfig
		}
		out = append(out, fmt.Sprintf("On node %s: set resolvConf (%s) in /var/lib/kubelet/config.yaml to a file with real servers"+
			" (with systemd-resolved: /run/systemd/resolve/resolv.conf), then systemctl restart kubelet.", p.Node, now))
	}
	if len(out) == 0 {
		out = []string{"On every node: set resolvConf in /var/lib/kubelet/config.yaml to a file with real servers" +
			" (with systemd-resolved: /run/systemd/resolve/resolv.conf), then systemctl restart kubelet."}
	}
	return append(out, "Then delete the CoreDNS pods there (a running pod keeps its resolv.conf), and on kubeadm clusters write the"+
		" same into ConfigMap kube-system/kubelet-config, or the next upgrade forgets it.")
}
