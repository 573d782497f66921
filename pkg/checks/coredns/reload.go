package coredns

import (
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ReloadFailed finds servers that refused a change of their Corefile and run on with the
// one before.
var ReloadFailed = &checks.Check{
	ID:       "coredns-reload-failed",
	Title:    "CoreDNS runs with the Corefile that stands in its ConfigMap",
	Severity: checks.Warning, // names still resolve: by the configuration before
	URL:      "https://coredns.io/plugins/reload/",
	Needs:    []*facts.Source{facts.SystemPods, facts.PodLogs},
	MayUse:   []*facts.Source{facts.ConfigMaps},
	Parts:    runningLogs,
	ByHand: []string{"kubectl -n kube-system logs -l k8s-app=kube-dns --tail=500 | grep -E 'reload|Running configuration'",
		"kubectl -n kube-system get configmap coredns -o yaml"},
	Run: findReloadFailed,
	Doc: `The plugin **reload** looks every 30 seconds whether the Corefile has changed. If CoreDNS cannot start with the
new text, it says so in its log and goes on with the old one. Nobody notices: the change is simply not in force, and the next
restart of a pod (a drained node, an upgrade) ends in a crash. After a failed reload the endpoints of the plugins **health** and
**prometheus** may stay closed as well, and then the liveness probe ends the pod.

It comes about by an argument that a plugin refuses, by a zone that two blocks serve, by a port that is taken. An error of
grammar, or a word that CoreDNS removed, is told by **coredns-corefile-error**.

Cure: correct what the message names. The running servers load the corrected text by themselves within two minutes and
log ` + "`Running configuration`" + ` again; do not restart them before.`,
}

// reloadLine matches the two ways in which a change is refused
// (coredns plugin/reload/reload.go).
var reloadLine = regexp.MustCompile(`Corefile changed but reload failed: (?:starting with listener file descriptors: )?(.+)|Corefile parse failed: (.+)`)

func findReloadFailed(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, v := range servers(s) {
		cm, text := configOf(s, v.pod)
		line, why := v.refused(s, cm, text)
		if why == "" {
			continue
		}
		subject := owner(v.pod)
		if cm != nil {
			subject = configRef(cm)
		}
		f := checks.Finding{Subject: subject, Message: "is not in force: CoreDNS refused it and runs on with the one before: " + why,
			Remedy: "Correct the Corefile where the message says; the servers then load it within two minutes. Do not restart them before: they would not start."}
		if cm == nil {
			f.Message = "runs on with an old Corefile, the new one was refused: " + why
		}
		i := slices.IndexFunc(out, func(o checks.Finding) bool { return o.Subject == f.Subject && o.Message == f.Message })
		if i < 0 {
			out, i = append(out, f), len(out)
		}
		out[i].Evidence = append(out[i].Evidence, v.quote(line))
		out[i].Places = append(out[i].Places, v.pod.Ref())
	}
	return out
}

// refused returns the last refusal since the present configuration came into force. A
// text that could not be parsed leaves no line when it is put right, so that refusal
// counts only while the text is still wrong.
func (v server) refused(s *facts.Snapshot, cm *corev1.ConfigMap, text string) (line said, why string) {
	for _, w := range v.sinceInForce(s) {
		m := reloadLine.FindStringSubmatch(w.text)
		switch {
		case m == nil:
		case m[1] != "":
			line, why = w, m[1]
		case cm == nil || malformed(text):
			line, why = w, m[2]
		}
	}
	return line, why
}

func malformed(text string) bool {
	_, err := corefile.Parse(text)
	return err != nil
}

// ReloadPluginMissing finds Corefiles whose changes nobody loads.
var ReloadPluginMissing = &checks.Check{
	ID:       "coredns-reload-plugin-missing",
	Title:    "CoreDNS loads changes of its Corefile",
	Severity: checks.Info,
	URL:      "https://coredns.io/plugins/reload/",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps},
	ByHand:   []string{"kubectl -n kube-system get configmap coredns -o yaml"},
	Run:      findReloadPluginMissing,
	Doc: `Without the plugin **reload** CoreDNS reads its Corefile once, at its start. A change of the ConfigMap then has no
effect until the pods are restarted, which nobody expects, and a mistake in it shows when that happens by itself. Installations
that restart the pods with each change (a Helm chart with a checksum of the configuration in the pod template) can do without.

One ` + "`reload`" + ` in any block is enough for the whole Corefile.

Cure: write ` + "`reload`" + ` into the block for ".", and restart the pods once.`,
}

func findReloadPluginMissing(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, c := range configs(s) {
		if len(c.file.Blocks) > 0 && c.lacks("reload") {
			out = append(out, c.finding("has no reload: a change comes into force only when the pods are restarted",
				"Write reload into the block for \".\" ("+c.edit()+") and restart the pods once.", c.quoteBlock(c.file.Blocks[0])))
		}
	}
	return out
}
