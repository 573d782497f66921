package kubeproxy

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/redact"
)

// Hostname finds kube-proxies that go by the name of another node.
var Hostname = &checks.Check{
	ID:       "kube-proxy-hostname",
	Title:    "Each kube-proxy goes by the name of its node",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/command-line-tools-reference/kube-proxy/",
	Needs:    []*facts.Source{facts.SystemDaemonSets, facts.SystemPods},
	MayUse:   []*facts.Source{facts.ConfigMaps, facts.PodLogs, facts.Nodes},
	When:     noDaemonSet,
	Parts:    hostnameParts,
	Explains: []*checks.Check{PodUnhealthy},
	ByHand: []string{"kubectl -n kube-system get daemonset kube-proxy -o yaml | grep -B2 -A8 hostname-override",
		"kubectl -n kube-system get configmap kube-proxy -o yaml | grep hostnameOverride", "kubectl -n kube-system logs POD | grep -i node"},
	Run: findHostname,
	Doc: `kube-proxy looks up its own Node by name: that tells it the addresses on which NodePorts answer, and which
endpoints are local. The name is that of the flag --hostname-override, else hostnameOverride of the file, else the machine's
hostname. Under a name that no Node has it waits for 30 seconds and goes on with 127.0.0.1 as its address; under that of
another Node it takes that one's pods for local. Services with ` + "`externalTrafficPolicy: Local` or `internalTrafficPolicy: Local`" + `
find no endpoint then, and NodePorts do not answer.

**How it comes about**: the name of one node was written where all nodes read it (a flag without $(NODE_NAME), the shared
ConfigMap, in which variables are not filled in); the variable is not set in the DaemonSet; or there is no override
and the machines' hostnames are not the names of the Nodes (FQDN against short name).

**Cure**: start it with --hostname-override=$(NODE_NAME), NODE_NAME being the field spec.nodeName, as kubeadm does. The flag
goes before the file.`,
}

// override is a name that a DaemonSet gives to all its kube-proxies.
type override struct {
	name  string
	where facts.Ref
	from  string // quoted evidence's place
	quote string
}

// hostnameParts names what must be known: the variable that the flag is filled in with;
// where no flag tells the name, the file, and where that does not either, what each
// kube-proxy says.
func hostnameParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, p := range proxies(s) {
		if flag(&p.spec.Containers[0], overrideFlag) == "" {
			out = append(out, checks.Part{Source: facts.ConfigMaps, Key: setRef(p.set).Key()})
		}
		if name := p.cutOut(); name != "" {
			out = append(out, checks.Part{Source: facts.SystemDaemonSets, Key: setRef(p.set).Key(), Lacks: "the value of " + name + " was cut out"})
		}
		if o, known := p.override(); known && o.name == "" {
			out = append(out, checks.PodLogs(p.pods)...)
		}
	}
	return out
}

func findHostname(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range proxies(s) {
		o, known := p.override()
		switch {
		case known && o.name != "":
			out = append(out, p.impostors(o)...)
		case known:
			out = append(out, p.strangersToTheirNode()...)
		}
	}
	return once(out)
}

const overrideFlag = "hostname-override"

// override returns the one name that is given to all, an empty one where none is given,
// and known false where each gets its own or nobody can tell.
func (p *proxy) override() (o override, known bool) {
	c := &p.spec.Containers[0]
	if value := flag(c, overrideFlag); value != "" {
		name, literal := expand(c, value)
		return override{name, setRef(p.set), setRef(p.set).String() + ", command", "--" + overrideFlag + "=" + value}, literal
	}
	if p.s.Missing(facts.ConfigMaps) != "" {
		return override{}, false
	}
	config := p.settings()
	if config == nil {
		return override{}, flag(c, "config") == ""
	}
	if name := config.HostnameOverride; name != "" {
		line := config.quote("hostnameOverride", name)
		return override{name, config.at.ref(), line.From, line.Text}, true
	}
	return override{}, true
}

var variable = regexp.MustCompile(`\$\(([^)]*)\)`)

// expand fills in the variables of an argument as a kubelet does: it leaves those that it
// does not know. literal is false where the result is not the same on every node, or not
// known.
func expand(c *corev1.Container, value string) (name string, literal bool) {
	literal = true
	name = variable.ReplaceAllStringFunc(value, func(v string) string {
		i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return "$("+e.Name+")" == v })
		switch {
		case i < 0:
			literal = literal && len(c.EnvFrom) == 0 && !shell(c)
			return v
		case c.Env[i].ValueFrom != nil, c.Env[i].Value == redact.Hidden:
			literal = false
		}
		return c.Env[i].Value
	})
	rest := variable.ReplaceAllString(name, "")
	return name, literal && !strings.ContainsAny(rest, "$`") && name != ""
}

// cutOut returns the variable of the flag whose value a capture cut out, or "": it may hold
// one name for all nodes.
func (p *proxy) cutOut() string {
	c := &p.spec.Containers[0]
	value := flag(c, overrideFlag)
	i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool {
		return e.Value == redact.Hidden && strings.Contains(value, "$("+e.Name+")")
	})
	if i < 0 {
		return ""
	}
	return c.Env[i].Name
}

// shell tells whether the command is run by a shell, which fills in more.
func shell(c *corev1.Container) bool {
	words := slices.Concat(c.Command, c.Args)
	return len(words) > 0 && strings.HasSuffix(path.Base(words[0]), "sh")
}

// impostors reports a name that is given to kube-proxies of other nodes.
func (p *proxy) impostors(o override) []checks.Finding {
	name := strings.ToLower(strings.TrimSpace(o.name)) // as kube-proxy reads it
	f := checks.Finding{
		Subject:  o.where,
		Message:  fmt.Sprintf("makes every kube-proxy take itself for that of Node %s", name),
		Evidence: []checks.Evidence{checks.Quote(o.from, o.quote)},
		Remedy: fmt.Sprintf("Start kube-proxy with --%s=$(NODE_NAME), and set NODE_NAME to the field spec.nodeName, in DaemonSet %s/%s; "+
			"take hostnameOverride out of its configuration.", overrideFlag, p.set.Namespace, p.set.Name),
	}
	for _, pod := range p.pods {
		if pod.Deleting || pod.Node == "" || strings.ToLower(pod.Node) == name || !p.carries(pod) {
			continue
		}
		f.Places = append(f.Places, pod.Ref())
		if len(f.Places) <= 2 {
			f.Evidence = append(f.Evidence, checks.Quote(pod.Ref().String()+", nodeName", pod.Node))
		}
	}
	if len(f.Places) == 0 {
		return nil
	}
	return []checks.Finding{f}
}

// carries tells whether a pod has the flag that the DaemonSet has now: one from before a
// change may live on.
func (p *proxy) carries(pod *facts.Pod) bool {
	value := flag(&p.spec.Containers[0], overrideFlag)
	for i := range pod.Containers {
		if c := &pod.Containers[i]; c.Name == p.spec.Containers[0].Name && len(c.Command) > 0 {
			return flag(&corev1.Container{Command: c.Command}, overrideFlag) == value
		}
	}
	return true
}

// strangersToTheirNode reports kube-proxies that are given no name and did not find a
// Node of the machine's.
func (p *proxy) strangersToTheirNode() []checks.Finding {
	f := checks.Finding{
		Subject: setRef(p.set),
		Message: "does not tell kube-proxy the name of its Node, and the machine has another",
		Remedy: fmt.Sprintf("Start kube-proxy with --%s=$(NODE_NAME), and set NODE_NAME to the field spec.nodeName, in the DaemonSet.",
			overrideFlag),
	}
	for _, pod := range p.pods {
		if n := p.s.Node(pod.Node); pod.Deleting || n == nil || silent(n) || !p.carries(pod) {
			continue
		}
		for line := range strings.Lines(p.log(pod)) {
			if !lostNode.re.MatchString(line) || p.s.Node(named(line)) != nil {
				continue
			}
			f.Places = append(f.Places, pod.Ref())
			if len(f.Places) <= 2 {
				f.Evidence = append(f.Evidence, checks.Quote(pod.Ref().String()+", nodeName", pod.Node),
					checks.QuoteLog(pod, "log", strings.TrimSpace(line)))
			}
			break
		}
	}
	if len(f.Places) == 0 {
		return nil
	}
	return []checks.Finding{f}
}
