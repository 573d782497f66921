package coredns

import (
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// LoopPluginMissing finds Corefiles that forward everything and would not notice a loop.
var LoopPluginMissing = &checks.Check{
	ID:       "coredns-loop-plugin-missing",
	Title:    "CoreDNS would notice if it forwarded to itself",
	Severity: checks.Info,
	URL:      "https://coredns.io/plugins/loop/",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps},
	ByHand:   []string{"kubectl -n kube-system get configmap coredns -o yaml"},
	Run:      findLoopPluginMissing,
	Doc: `The plugin **loop** asks a random question when CoreDNS starts and ends the process if that comes back. It is the
only thing that tells a loop by name. Without it, one resolv.conf with a loopback address on a node is enough for questions that
circle until the memory is used up: the pods are killed (OOMKilled), or answer slowly, and nothing says why.

Often it was taken out because it "crashed" CoreDNS. It did so because there was a loop.

Cure: write ` + "`loop`" + ` into the block for ".". If the pods then exit with ` + "`Loop … detected`" + `, see **coredns-loop**. OpenShift's
operator leaves it out on purpose, and is left out here, as are versions before 1.2.1, which do not have it.`,
}

func findLoopPluginMissing(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, c := range configs(s) {
		if c.cm.Namespace == "openshift-dns" || !c.lacks("loop") || slices.ContainsFunc(c.servers, withoutLoop) {
			continue
		}
		if b := ForwardsAll(c.file); b != nil {
			out = append(out, c.finding("forwards all other names and has no loop: if they come back, nothing says so",
				"Write loop into the block for \".\": "+c.edit()+".", c.quoteBlock(b), c.quoteDirective(forwardsAll(b))))
		}
	}
	return out
}

// withoutLoop tells whether a server is from before the plugin, and would not start with it
// (notes/coredns-1.2.1.md).
func withoutLoop(v server) bool {
	runs := version(v.container.Image)
	return runs != nil && !reached(runs, "1.2.1")
}

// forwardsAll returns the directive by which the block for "." forwards what nothing else
// in it answers, or nil.
func forwardsAll(b *corefile.Block) *corefile.Directive {
	if !slices.Contains(b.Zones(), ".") {
		return nil
	}
	for _, d := range slices.Concat(b.Find("forward"), b.Find("proxy")) {
		if f, ok := d.Forward(); ok && f.From == "." {
			return d
		}
	}
	return nil
}
