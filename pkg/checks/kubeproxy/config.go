package kubeproxy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ConfigInvalid finds configurations with which kube-proxy exits, and fields in them
// that it does not know.
var ConfigInvalid = &checks.Check{
	ID:       "kube-proxy-config-invalid",
	Title:    "kube-proxy can read its configuration and accepts it",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/",
	Needs:    []*facts.Source{facts.ConfigMaps, facts.SystemDaemonSets},
	MayUse:   []*facts.Source{facts.SystemPods, facts.PodLogs},
	When:     noDaemonSet,
	Explains: []*checks.Check{PodUnhealthy},
	ByHand: []string{"kubectl -n kube-system get configmap kube-proxy -o yaml",
		"kubectl -n kube-system describe daemonset kube-proxy", "kubectl -n kube-system logs POD --previous"},
	Run: findConfigInvalid,
	Doc: `kube-proxy reads the file that its flag --config names, from a ConfigMap that the DaemonSet mounts. It exits where
the file is not there (wrong path, misspelt key), is no YAML of kind KubeProxyConfiguration, or holds a value that it refuses:
an unknown mode, a clusterCIDR or an address that cannot be parsed, a kubeconfig that is not mounted. So it does where
featureGates names a gate that its version does not know any more, which is told by its last words.

A **misspelt field** does not make it exit: it decodes once more without looking at unknown fields, and says so only in its
log ("Using lenient decoding as strict decoding failed"). What was meant is silently not done. That is a warning here, as is
a fault that no running kube-proxy has met yet: it reads the file when it starts.

**How it comes about**: edits by hand, a file written for another version, keys lost when the ConfigMap was re-created.

**Cure**: ` + "`kubectl -n kube-system edit configmap kube-proxy`" + `, then ` +
		"`kubectl -n kube-system rollout restart daemonset kube-proxy`" + `: a changed ConfigMap alone restarts nothing. kubeadm writes both anew with ` +
		"`kubeadm init phase addon kube-proxy`" + `.`,
}

func noDaemonSet(s *facts.Snapshot) string {
	if len(s.KubeProxyDaemonSets()) == 0 {
		return "no DaemonSet runs kube-proxy, so its configuration is not in the API"
	}
	return ""
}

func findConfigInvalid(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range proxies(s) {
		out = append(out, p.judge()...)
	}
	return once(out)
}

// once drops what several DaemonSets with the same ConfigMap make said twice.
func once(list []checks.Finding) []checks.Finding {
	var out []checks.Finding
	for _, f := range list {
		same := func(o checks.Finding) bool { return o.Subject == f.Subject && o.Message == f.Message }
		if i := slices.IndexFunc(out, same); i < 0 {
			out = append(out, f)
		} else {
			out[i].Places = append(out[i].Places, f.Places...)
		}
	}
	return out
}

// proxy is one DaemonSet of kube-proxy with its pods.
type proxy struct {
	s    *facts.Snapshot
	set  *appsv1.DaemonSet
	spec *corev1.PodSpec
	pods []*facts.Pod
}

func (p *proxy) judge() []checks.Finding {
	c := &p.spec.Containers[0]
	file := flag(c, "config")
	if file == "" {
		if file = flag(c, "kubeconfig"); file == "" {
			return nil
		}
		_, fault := p.open(use{setRef(p.set), "starts kube-proxy with --kubeconfig=" + file, "command", kubeconfigKind.MatchString}, file)
		return fault
	}
	at, fault := p.open(use{setRef(p.set), "starts kube-proxy with --config=" + file, "command", configKind.MatchString}, file)
	if at == nil {
		return fault
	}
	return p.content(at)
}

// content judges the text of the configuration.
func (p *proxy) content(at *text) []checks.Finding {
	config, ignored, err := decode(at.data)
	if err != nil {
		return []checks.Finding{p.finding(at.ref(), fmt.Sprintf("holds under %s what kube-proxy cannot decode", at.key),
			"Make it YAML of apiVersion kubeproxy.config.k8s.io/v1alpha1, kind KubeProxyConfiguration, then restart the DaemonSet.",
			checks.Quote(at.from(), err.Error()))}
	}
	var out []checks.Finding
	for _, bad := range validate(config) {
		out = append(out, p.finding(at.ref(), fmt.Sprintf("sets %s to %s, with which kube-proxy exits", bad.field, bad.value),
			fmt.Sprintf("Set %s to %s, then restart the DaemonSet.", bad.field, bad.wants),
			checks.Quote(at.from(), lineOf(at.data, bad.field, bad.value))))
	}
	out = append(out, p.gates(at, config.FeatureGates)...)
	if file := config.ClientConnection.Kubeconfig; file != "" {
		_, fault := p.open(use{at.ref(), "names the kubeconfig " + file, "key " + at.key, kubeconfigKind.MatchString}, file)
		out = append(out, fault...)
	}
	return append(out, p.ignored(at, ignored)...)
}

// gates reports feature gates of the configuration with which a kube-proxy ends: which
// gates a version knows only it can tell.
func (p *proxy) gates(at *text, gates map[string]bool) []checks.Finding {
	var out []checks.Finding
	told := map[string]bool{}
	for _, pod := range p.pods {
		said, found := lastOfAny(p.s, pod)
		if !found {
			continue
		}
		for _, w := range []words{unknownGate, lockedGate} {
			m := w.re.FindStringSubmatch(said.Evidence[0].Text)
			if m == nil || told[m[1]] {
				continue
			}
			if _, here := gates[m[1]]; !here {
				continue // a flag sets it
			}
			told[m[1]] = true
			f := p.finding(at.ref(), fmt.Sprintf("sets the feature gate %s, which this version of kube-proxy does not know", m[1]),
				fmt.Sprintf("Take %s out of featureGates in key %s, then: %s.", m[1], at.key, p.restart()),
				checks.Quote(at.from(), lineOf(at.data, m[1], strconv.FormatBool(gates[m[1]]))), said.Evidence[0])
			if w.message == lockedGate.message {
				f.Message = fmt.Sprintf("sets the feature gate %s to %t, which this version of kube-proxy does not allow any more", m[1], gates[m[1]])
			}
			out = append(out, f)
		}
	}
	return out
}

// ignoring begins what is said of fields that do nothing.
const ignoring = "holds what kube-proxy ignores: "

// ignored reports fields that do nothing. Only versions that are known can be judged.
func (p *proxy) ignored(at *text, complaints []string) []checks.Finding {
	complaints = slices.DeleteFunc(complaints, retired)
	if len(complaints) == 0 || later(p.s.Server) {
		return nil
	}
	f := p.finding(at.ref(), ignoring+strings.Join(complaints, ", "),
		"Correct the spelling or the place of the field (field names are case-sensitive), then restart the DaemonSet.")
	f.Severity = checks.Warning
	for _, c := range complaints {
		if _, field, found := strings.Cut(c, `"`); found {
			field, _, _ = strings.Cut(field, `"`)
			f.Evidence = append(f.Evidence, checks.Quote(at.from(), lineOf(at.data, field, "")))
		}
	}
	return []checks.Finding{f}
}

// text is a key of a ConfigMap.
type text struct {
	configMap *corev1.ConfigMap
	key, data string
}

func (t *text) ref() facts.Ref {
	return facts.Ref{Kind: "ConfigMap", Namespace: t.configMap.Namespace, Name: t.configMap.Name}
}

func (t *text) from() string { return t.ref().String() + ", key " + t.key }

// use is where a file is named: by whom, in which words, in which field, and how its
// text is told from others.
type use struct {
	subject facts.Ref
	says    string
	field   string
	is      func(string) bool
}

// open finds the text of a file, or what is wrong with its name. It returns neither
// where the file comes from elsewhere.
func (p *proxy) open(u use, file string) (*text, []checks.Finding) {
	c := &p.spec.Containers[0]
	full := absolute(c, file)
	if full == "" || strings.HasPrefix(full, "/var/run/secrets/") {
		return nil, nil
	}
	from := fmt.Sprintf("%s, %s", u.subject, u.field)
	fail := func(but, remedy string, evidence ...checks.Evidence) (*text, []checks.Finding) {
		return nil, []checks.Finding{p.finding(u.subject, u.says+", "+but, remedy, append([]checks.Evidence{checks.Quote(from, file)}, evidence...)...)}
	}
	o := locate(p.spec, c, full)
	switch {
	case !o.found && p.works():
		return nil, nil // the image holds it
	case !o.found:
		return fail("where nothing is mounted", "Name a file below one of the container's mounts.", checks.Quote(setRef(p.set).String()+", volumeMounts", mounts(c)))
	case o.configMap == "":
		return nil, nil
	}
	cm := p.s.ConfigMap(p.set.Namespace, o.configMap)
	name := fmt.Sprintf("ConfigMap %s/%s", p.set.Namespace, o.configMap)
	if cm == nil {
		return fail("which "+name+" would hold, but that does not exist", "Re-create the ConfigMap: kubeadm init phase addon kube-proxy, or from a backup.")
	}
	data, found := cm.Data[o.key]
	switch {
	case o.key == "":
		return fail("which the volume does not take from "+name, "Add the file to the volume's items.", checks.Quote(name+", keys", strings.Join(keys(cm), ", ")))
	case !found:
		return fail("a key that "+name+" does not have", misnamed(cm, o.key, u.is), checks.Quote(name+", keys", strings.Join(keys(cm), ", ")))
	}
	return &text{cm, o.key, data}, nil
}

// misnamed says how to mend a missing key, by the one that holds what is looked for.
func misnamed(cm *corev1.ConfigMap, key string, is func(string) bool) string {
	for _, other := range keys(cm) {
		if is(cm.Data[other]) {
			return fmt.Sprintf("Key %s holds what is looked for: rename it to %s, or name it instead.", other, key)
		}
	}
	return fmt.Sprintf("Put the key %s back: kubeadm init phase addon kube-proxy, or from a backup.", key)
}

// settled is how long a restarted kube-proxy must run before it counts as working: one
// that cannot read its configuration exits within a second.
const settled = time.Minute

// works tells whether every pod of the DaemonSet runs, so that nobody is cut off yet.
func (p *proxy) works() bool {
	return len(p.pods) > 0 && !slices.ContainsFunc(p.pods, func(pod *facts.Pod) bool { return !pod.Ready || pod.Unsettled(p.s.Taken, settled) })
}

// well tells whether every pod of the DaemonSet runs, and none says that it cannot do its
// work: what is found then can hide nobody's trouble.
func (p *proxy) well() bool {
	return p.works() && !slices.ContainsFunc(p.pods, func(pod *facts.Pod) bool {
		said := p.log(pod)
		lines := strings.Split(said, "\n")
		_, waits := unanswered.last(p.s, pod, lines)
		_, fails := unwritten(p.s, pod, false)
		return waits || fails || lostNode.re.MatchString(said) || slices.ContainsFunc(failing, func(w words) bool {
			_, found := w.persist(p.s, pod, lines)
			return found
		})
	})
}

func (p *proxy) finding(subject facts.Ref, message, remedy string, evidence ...checks.Evidence) checks.Finding {
	f := checks.Finding{Subject: subject, Message: message, Remedy: remedy, Evidence: evidence}
	if p.works() {
		f.Severity = checks.Warning // it shows at the next start
	}
	for _, pod := range p.pods {
		f.Places = append(f.Places, pod.Ref())
	}
	return f
}

func keys(cm *corev1.ConfigMap) []string { return slices.Sorted(maps.Keys(cm.Data)) }

func mounts(c *corev1.Container) string {
	var out []string
	for _, m := range c.VolumeMounts {
		out = append(out, m.MountPath)
	}
	return strings.Join(out, ", ")
}
