package coredns

import (
	"fmt"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CorefileError finds Corefiles with which CoreDNS does not start, or will not start
// again.
var CorefileError = &checks.Check{
	ID:       "coredns-corefile-error",
	Title:    "CoreDNS accepts its Corefile",
	Severity: checks.Error,
	URL:      "https://coredns.io/manual/configuration/",
	Needs:    []*facts.Source{facts.SystemPods, facts.PodLogs, facts.ConfigMaps},
	Parts:    failingLogs,
	Explains: []*checks.Check{ReloadFailed, symptom.PodNotReady, symptom.DNSServiceNoEndpoints},
	ByHand: []string{"kubectl -n kube-system logs -l k8s-app=kube-dns --previous",
		"kubectl -n kube-system get configmap coredns -o yaml"},
	Run: findCorefileErrors,
	Doc: `CoreDNS reads its configuration, the Corefile, from a ConfigMap. With an error in it a new process exits at
once and the pods crash. A process that runs already keeps the configuration it started with (the plugin **reload** only
logs that it failed), so that a bad edit shows days later, when a node is drained or the pods are restarted.

It comes about by an edit (a brace, a word that is no plugin), by a file of additional configuration that defines a zone or
a plugin twice, or by an upgrade: ` + "`proxy`" + ` was removed in CoreDNS 1.5.0, ` + "`upstream`, `resyncperiod` and `federation`" + `
in 1.7.0, ` + "`transfer`" + ` inside other plugins in 1.8.0.

Cure: correct the line that the message names (` + "`kubectl -n kube-system edit configmap coredns`" + `), then delete the
crashing pods. After a failed upgrade kubeadm leaves the earlier text in the key ` + "`Corefile-backup`" + `. Where an operator,
Helm or a cloud provider owns the ConfigMap, correct it there, or the old text comes back.`,
}

var (
	// startError matches what CoreDNS prints before it exits: an error with file and
	// line (coredns/caddy caddyfile/dispenser.go), two blocks for one zone
	// (core/dnsserver/register.go), or a plugin that refuses its arguments.
	startError = regexp.MustCompile(`(?:plugin/\w+: )?\S+:\d+ - (?:Error during parsing|Syntax error): .*|` +
		`cannot serve \S+ - (?:it is already defined|zone overlap).*|` +
		`^(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?(plugin/\w+: (?:not an IP address or file|no nameservers found|no valid upstream addresses found|` +
		`more than \d+ TOs configured|this plugin can only be used once|unable to normalize|non-reverse zone name|wrong value for|unable to parse).*)`)
	// notStart marks lines of a process that went on with its old configuration.
	notStart = regexp.MustCompile(`reload failed|Restart failed|parse failed`)

	unknownDirective = regexp.MustCompile(`Unknown directive '([^']*)'`)
	noNameserver     = regexp.MustCompile(`no nameservers found|no valid upstream addresses found`)
)

func findCorefileErrors(s *facts.Snapshot) []checks.Finding {
	out := loggedErrors(s)
	told := map[facts.Ref]bool{}
	for _, f := range out {
		told[f.Subject] = true
	}
	for _, v := range servers(s) {
		cm, text := configOf(s, v.pod)
		if cm == nil || told[configRef(cm)] {
			continue
		}
		if line, remedy := staticError(text, v.container.Image); line != "" {
			told[configRef(cm)] = true
			out = append(out, writtenError(s, cm, line, remedy))
		}
	}
	return out
}

// loggedErrors finds what crashing servers said, one finding for a Corefile and error.
func loggedErrors(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, v := range failing(s) {
		line, text, found := startErrorTold(s, v)
		if !found {
			continue
		}
		subject := owner(v.pod)
		if cm, _ := configOf(s, v.pod); cm != nil {
			subject = configRef(cm)
		}
		f := checks.Finding{Subject: subject, Message: "stops CoreDNS from starting: " + text, Remedy: startRemedy(text)}
		i := slices.IndexFunc(out, func(o checks.Finding) bool { return o.Subject == f.Subject && o.Message == f.Message })
		if i < 0 {
			out, i = append(out, f), len(out)
		}
		out[i].Evidence = append(out[i].Evidence, v.quote(line))
		out[i].Places = append(out[i].Places, v.pod.Ref())
	}
	return out
}

func startErrorTold(s *facts.Snapshot, v server) (line said, text string, found bool) {
	for _, w := range v.words(s) {
		if m := startError.FindStringSubmatch(w.text); m != nil && !notStart.MatchString(w.text) {
			if m[1] != "" {
				return w, m[1], true
			}
			return w, m[0], true
		}
	}
	return said{}, "", false
}

// thenDelete ends a remedy: a crashing pod waits up to five minutes for its next start.
const thenDelete = " Then delete the crashing pods."

func startRemedy(text string) string {
	if m := unknownDirective.FindStringSubmatch(text); m != nil {
		d := &corefile.Directive{Name: m[1]}
		if gone := d.Removed(); len(gone) > 0 {
			return removedRemedy(gone[0]) + thenDelete
		}
		return fmt.Sprintf("Correct or delete %q in the Corefile: this build of CoreDNS has no such plugin.", m[1]) + thenDelete
	}
	if noNameserver.MatchString(text) {
		return "The file that the Corefile forwards to names no nameserver in this pod: let resolvConf of the node's kubelet name a file that does, or forward to addresses." + thenDelete
	}
	return "Correct the Corefile where the message says, with kubectl edit or at whatever owns the ConfigMap." + thenDelete
}

func removedRemedy(r corefile.Removal) string {
	word := r.Directive
	if r.Option != "" {
		word = r.Directive + " … " + r.Option
	}
	if r.Replacement == "" {
		return fmt.Sprintf("Delete %q from the Corefile: CoreDNS %s removed it.", word, r.Since)
	}
	return fmt.Sprintf("Write %q in place of %q in the Corefile: CoreDNS %s removed it.", r.Replacement, word, r.Since)
}

// staticError finds what no CoreDNS of the image's version starts with. A directive
// that is merely unknown is none: a vendor's build may have it.
func staticError(text, image string) (line, remedy string) {
	file, err := corefile.Parse(text)
	if err != nil {
		return err.Error(), "Correct the Corefile where the message says."
	}
	for _, b := range file.Blocks {
		for _, d := range b.Directives {
			for _, r := range d.Removed() {
				if reached(version(image), r.Since) {
					return removedLine(r), removedRemedy(r)
				}
			}
		}
	}
	return "", ""
}

func removedLine(r corefile.Removal) string {
	if r.Option != "" {
		return fmt.Sprintf("Corefile:%d - option %s of %s was removed in CoreDNS %s", r.Line, r.Option, r.Directive, r.Since)
	}
	return fmt.Sprintf("Corefile:%d - %s was removed in CoreDNS %s", r.Line, r.Directive, r.Since)
}

// writtenError reports an error that stands in the ConfigMap. It explains servers that
// fail already; those that run keep the configuration that they started with.
func writtenError(s *facts.Snapshot, cm *corev1.ConfigMap, line, remedy string) checks.Finding {
	f := checks.Finding{
		Subject:  configRef(cm),
		Severity: checks.Warning,
		Message:  "will stop CoreDNS at its next start: " + line,
		Evidence: []checks.Evidence{checks.Quote(configRef(cm).String()+", Corefile", line)},
		Remedy:   remedy + " Do so before a CoreDNS pod is restarted or moved.",
	}
	for _, v := range failing(s) {
		if mine, _ := configOf(s, v.pod); mine == cm {
			f.Severity, f.Message, f.Remedy = checks.Error, "stops CoreDNS from starting: "+line, remedy+thenDelete
			f.Places = append(f.Places, v.pod.Ref())
		}
	}
	return f
}

func configRef(cm *corev1.ConfigMap) facts.Ref {
	return facts.Ref{Kind: "ConfigMap", Namespace: cm.Namespace, Name: cm.Name}
}
