package coredns

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// PodsMode finds Corefiles that ask for what the mode of their plugin kubernetes does not
// give.
var PodsMode = &checks.Check{
	ID:       "coredns-pods-mode",
	Title:    "What the Corefile asks for suits what CoreDNS keeps of pods",
	Severity: checks.Info,
	URL:      "https://coredns.io/plugins/kubernetes/",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps},
	MayUse:   []*facts.Source{facts.Nodes},
	ByHand:   []string{"kubectl -n kube-system get configmap coredns -o yaml"},
	Run:      findPodsMode,
	Doc: `The option ` + "`pods`" + ` of the plugin **kubernetes** says what CoreDNS does about pods. ` + "`insecure`" + `, which kubeadm writes, answers
` + "`10-244-0-5.shop.pod.cluster.local`" + ` with the address in the name, whether there is such a pod or not. ` + "`verified`" + ` looks first, and keeps
all pods in memory for it. ` + "`disabled`" + ` answers no such name.

` + "`autopath @kubernetes`" + ` saves clients most of their futile questions: CoreDNS goes through the search path itself. For that it must know
the namespace of the pod that asks, so it needs ` + "`pods verified`" + `; with anything else it is silently without effect. It does nothing for
pods on Windows nodes. ` + "`pods disabled`" + `, where it is written down, breaks programs that go by the names of pods: Spark, old
drivers of databases, certificates for such names.

Cure: write ` + "`pods verified`" + ` if autopath is wanted, after a look at the memory limit (**coredns-memory-size**), or take autopath out;
write ` + "`pods insecure`" + ` in place of ` + "`disabled`" + ` if somebody asks for the names of pods.`,
}

func findPodsMode(s *facts.Snapshot) []checks.Finding {
	windows := slices.ContainsFunc(s.Nodes, func(n *corev1.Node) bool { return facts.Windows(n) })
	var out []checks.Finding
	for _, c := range configs(s) {
		for _, b := range c.file.Blocks {
			out = append(out, c.podsMode(b, windows)...)
		}
	}
	return out
}

func (c config) podsMode(b *corefile.Block, windows bool) []checks.Finding {
	var out []checks.Finding
	var modes []checks.Evidence
	verified, disabled := false, false
	for _, k := range b.Find("kubernetes") {
		mode := k.Find("pods")
		if len(mode) == 0 {
			modes = append(modes, c.quoteDirective(k))
		}
		for _, o := range mode {
			modes = append(modes, c.quoteDirective(o))
			verified = verified || slices.Equal(o.Args, []string{"verified"})
			disabled = disabled || slices.Equal(o.Args, []string{"disabled"})
		}
	}
	if disabled {
		out = append(out, c.finding("answers no names of pods: it says pods disabled",
			"Write pods insecure in its place if any program asks for names such as 10-244-0-5.shop.pod.cluster.local: "+c.edit()+".", modes...))
	}
	path := autopath(b)
	switch {
	case path == nil || len(modes) == 0:
	case !verified:
		out = append(out, c.finding("has autopath without pods verified: it has no effect",
			"Write pods verified into the plugin kubernetes, which then keeps all pods in memory, or take autopath out: "+c.edit()+".",
			append([]checks.Evidence{c.quoteDirective(path)}, modes...)...))
	case windows:
		out = append(out, c.finding("has autopath, which does not work for pods on the cluster's Windows nodes",
			"Expect no effect for these pods: they still go through their search path themselves.", c.quoteDirective(path)))
	}
	return out
}

// autopath returns the directive that asks the plugin kubernetes for search paths, or nil.
func autopath(b *corefile.Block) *corefile.Directive {
	for _, d := range b.Find("autopath") {
		if slices.Contains(d.Args, "@kubernetes") {
			return d
		}
	}
	return nil
}
