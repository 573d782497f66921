package fixes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubelet"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CorefileAddPlugin adds a plugin of upstream's default Corefile that is missing.
var CorefileAddPlugin = &Fix{
	ID:     "corefile-add-plugin",
	Title:  "Add the missing plugin to the Corefile",
	For:    []*checks.Check{coredns.Readiness, coredns.Liveness, coredns.LoopPluginMissing, coredns.ReloadPluginMissing, coredns.MetricsBind, coredns.Cache},
	Risk:   Restarts,
	Settle: loopWindow,
	Plan:   planCorefileAddPlugin,
	Doc: `Writes one line into the Corefile, the one that kubeadm's has: ` + "`ready`, `health { lameduck 5s }`, `loop`, `reload`, `prometheus :9153` or `cache 30`" + `, below the
plugins that stand before it there. For a probe that asks another port than the plugin's own, the port is written, too, and where the plugin
listens on a loopback address, that is taken out. Nothing else in the text changes.

Where CoreDNS does not work without the plugin, does not reload, or could end with it (` + "`loop`" + `), its Deployment is restarted, one pod after the other: a
pod that does not come up shows that before the others are touched, and all is taken back. Otherwise the servers read it by themselves.

It does not cure a probe that fails for want of CPU, a cache that is of little use, or the loop that ` + "`loop`" + ` finds. It is refused while
something leads back to CoreDNS, and where more than one block could be meant.`,
}

func planCorefileAddPlugin(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	cm, text, err := corefileSubject(s, f)
	if err != nil {
		return Plan{}, err
	}
	if err := starts(s, f); err != nil {
		return Plan{}, err
	}
	if braceRight(text) != "" {
		return Plan{}, inConfigMap(cm, fmt.Errorf("a brace in it is misplaced, so that its blocks end where they should not; cure %s first", coredns.ZoneMismatch.ID))
	}
	if f.Check == coredns.LoopPluginMissing {
		if err := noLoop(s); err != nil {
			return Plan{}, err
		}
	}
	edited, err := editedCorefile(text, func(e *corefile.Editor) error { return addPlugin(s, f, e) })
	if err != nil {
		return Plan{}, inConfigMap(cm, err)
	}
	plan, err := corefilePlan(s, f, cm, edited)
	if err == nil && needsRestart(s, f, text) {
		plan, err = restarted(s, f, plan)
	}
	if f.Check == coredns.MetricsBind {
		plan.Warnings = append(plan.Warnings, "Whoever reaches the pods of CoreDNS can read its metrics then, as with kubeadm's Corefile.")
	}
	return plan, err
}

// noLoop refuses while something is known that leads back to CoreDNS: with the plugin loop it
// would end.
func noLoop(s *facts.Snapshot) error {
	for _, c := range []*checks.Check{coredns.UpstreamSelf, kubelet.ResolvConfLoopback} {
		if found := c.Run(s); len(found) > 0 {
			return fmt.Errorf("%s %s: with loop, CoreDNS would end at once; cure %s first", found[0].Subject, found[0].Message, c.ID)
		}
	}
	return nil
}

// addPlugin makes the edit that a check asks for.
func addPlugin(s *facts.Snapshot, f checks.Finding, e *corefile.Editor) error {
	switch f.Check {
	case coredns.Readiness:
		return answer(s, f, e, "ready", "8181", nil)
	case coredns.Liveness:
		return answer(s, f, e, "health", "8080", []string{"\tlameduck 5s"})
	case coredns.LoopPluginMissing:
		return addLines(e, coredns.ForwardsAll(e.File), "loop")
	case coredns.MetricsBind:
		return addMetrics(e)
	case coredns.Cache:
		blocks := coredns.Uncached(e.File)
		if len(blocks) == 0 {
			return errors.New("every block that forwards has a cache")
		}
		for _, b := range blocks {
			if err := addLines(e, b, "cache 30"); err != nil {
				return err
			}
		}
		return nil
	}
	b, err := mainBlock(e.File)
	if err != nil {
		return err
	}
	return addLines(e, b, "reload")
}

// answer lets a plugin answer where the probe of a check asks.
func answer(s *facts.Snapshot, f checks.Finding, e *corefile.Editor, plugin, usual string, options []string) error {
	asked := coredns.Asked(s, f.Subject, f.Check)
	if len(asked) != 1 {
		return fmt.Errorf("the servers that read it are asked at %d ports by their probes; one Corefile cannot answer all", len(asked))
	}
	if there := everywhere(e.File, plugin); len(there) > 0 {
		return reachable(e, f.Check, there, asked[0])
	}
	b, err := mainBlock(e.File)
	if err != nil {
		return err
	}
	if asked[0] != usual {
		plugin += " :" + asked[0]
	}
	if len(options) > 0 {
		return addLines(e, b, append([]string{plugin + " {"}, append(options, "}")...)...)
	}
	return addLines(e, b, plugin)
}

// reachable lets a plugin that is there answer at a port of the pod's address, where it
// listens at that port of a loopback address.
func reachable(e *corefile.Editor, check *checks.Check, there []*corefile.Directive, asked string) error {
	d := there[0]
	switch {
	case len(there) > 1:
		return fmt.Errorf("%s stands in %d blocks, and none answers at port %s: correct the one that is meant", d.Name, len(there), asked)
	case coredns.Silent(check, d, asked):
		return e.SetArg(d, 0, ":"+asked)
	}
	return fmt.Errorf("line %d: %s is there; --with coredns-probe-port lets the probe ask where it listens, and if the answer comes too late, CoreDNS wants CPU", d.Line, lineOf(d))
}

// everywhere returns the directives of a plugin.
func everywhere(file *corefile.File, plugin string) []*corefile.Directive {
	var out []*corefile.Directive
	for _, b := range file.Blocks {
		out = append(out, b.Find(plugin)...)
	}
	return out
}

func addMetrics(e *corefile.Editor) error {
	const listen = ":9153"
	there := everywhere(e.File, "prometheus")
	switch {
	case len(there) > 1:
		return fmt.Errorf("prometheus stands in %d blocks: give the one that is meant the address %s", len(there), listen)
	case len(there) == 1 && len(there[0].Args) == 0:
		return e.AddArg(there[0], listen)
	case len(there) == 1:
		return e.SetArg(there[0], 0, there[0].Args[0][strings.LastIndexByte(there[0].Args[0], ':'):])
	}
	b, err := mainBlock(e.File)
	if err != nil {
		return err
	}
	return addLines(e, b, "prometheus "+listen)
}

// mainBlock returns the block for ".", or the only one that there is.
func mainBlock(file *corefile.File) (*corefile.Block, error) {
	var found []*corefile.Block
	for _, b := range file.Blocks {
		if slices.Contains(b.Zones(), ".") {
			found = append(found, b)
		}
	}
	if len(found) == 0 {
		found = file.Blocks
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("it has %d blocks of which each could be meant; write it into one by hand", len(found))
	}
	return found[0], nil
}

// usualOrder is that of kubeadm's Corefile (k8s.io/kubernetes cmd/kubeadm/app/phases/addons/dns).
func usualOrder() []string {
	return []string{"errors", "health", "ready", "kubernetes", "prometheus", "forward", "cache", "loop", "reload", "loadbalance"}
}

// addLines writes a directive into a block, where it usually stands.
func addLines(e *corefile.Editor, b *corefile.Block, lines ...string) error {
	if b == nil {
		return errors.New("no block is meant any more")
	}
	name, _, _ := strings.Cut(lines[0], " ")
	order := usualOrder()
	for i := slices.Index(order, name) - 1; i >= 0; i-- {
		for _, d := range slices.Backward(b.Find(order[i])) {
			if d.Snippet == "" {
				return e.AddAfter(d, lines...)
			}
		}
	}
	return e.AddFirst(b, lines...)
}

// needsRestart tells whether the new text comes into force, or proves itself, only with new
// pods.
func needsRestart(s *facts.Snapshot, f checks.Finding, text string) bool {
	file, err := corefile.Parse(text)
	reloads := err == nil && slices.ContainsFunc(file.Blocks, func(b *corefile.Block) bool { return len(b.Find("reload")) > 0 })
	return !reloads || f.Check == coredns.LoopPluginMissing || f.Severity == checks.Error ||
		slices.ContainsFunc(podsOf(s, f), func(p *facts.Pod) bool { return !p.Ready })
}

// restarted adds the restart of the Deployment whose pods read the Corefile.
func restarted(s *facts.Snapshot, f checks.Finding, plan Plan) (Plan, error) {
	plan.Restarts, plan.Warnings, plan.Manual = nil, nil, nil // the new pods read it anyway
	for _, r := range workloads(s, f) {
		if r.Kind != "Deployment" {
			if f.Check == coredns.LoopPluginMissing {
				return Plan{}, fmt.Errorf("%s restarts its pods without a proof that they come up, and with loop they might not; write it by hand", r)
			}
			plan.Manual = append(plan.Manual, fmt.Sprintf("The pods must be restarted once, one after the other: kubectl -n %s rollout restart %s %s",
				checks.ShellWord(r.Namespace), strings.ToLower(r.Kind), checks.ShellWord(r.Name)))
			continue
		}
		was, edited, err := templateOf(s, r)
		if err != nil {
			return Plan{}, err
		}
		restart(s, &edited.Spec.Template)
		rolled, err := rollout(was, edited)
		if err != nil {
			return Plan{}, err
		}
		plan.Changes = append(plan.Changes, rolled.Changes...)
		plan.Warnings = append(plan.Warnings, meanwhile(r, was))
	}
	return plan, nil
}

// meanwhile says who serves while a Deployment is restarted.
func meanwhile(r facts.Ref, d *appsv1.Deployment) string {
	one := d.Spec.Replicas != nil && *d.Spec.Replicas < 2 || d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType
	if u := d.Spec.Strategy.RollingUpdate; one || u != nil && u.MaxUnavailable != nil && u.MaxUnavailable.String() == "100%" {
		return fmt.Sprintf("%s has one pod, or lets all go at once: names may not resolve while it restarts.", r)
	}
	return fmt.Sprintf("%s is restarted pod by pod: the others serve meanwhile.", r)
}
