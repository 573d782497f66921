package coredns

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ConfigMapKey finds CoreDNS pods that do not start because a ConfigMap, or a key in it,
// is missing.
var ConfigMapKey = &checks.Check{
	ID:       "coredns-configmap-key",
	Title:    "The ConfigMaps that CoreDNS mounts exist, with the keys that it asks for",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/#understanding-configmaps-and-pods",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps},
	MayUse:   []*facts.Source{facts.SystemDeployments, facts.SystemEvents, facts.PodLogs},
	Explains: []*checks.Check{symptom.PodNotReady, symptom.DNSServiceNoEndpoints},
	ByHand: []string{"kubectl -n kube-system describe pods -l k8s-app=kube-dns",
		"kubectl -n kube-system get configmap coredns -o yaml",
		"kubectl -n kube-system get deployment coredns -o jsonpath='{.spec.template.spec.volumes}'"},
	Run: findConfigMapKey,
	Doc: `CoreDNS gets its Corefile from a ConfigMap that is mounted as a volume. If the ConfigMap does not exist, or has no
key of the name that the volume asks for, the kubelet cannot mount it and the pod stays in ContainerCreating; if the volume
asks for no key in particular, the file is missing and CoreDNS exits. Pods that run already keep what they have, so that the
fault shows when one is made anew: then it is told as a warning before.

It comes about by a ConfigMap made again with ` + "`kubectl create configmap --from-file`" + ` (the key is then called like the
file), by one deleted with an uninstalled chart, or by ` + "`kubeadm upgrade`" + `, which points the Deployment at the key
` + "`Corefile-backup`" + ` while it migrates the Corefile. On k3s the key NodeHosts is added by its server and is missing until that
has run.

Cure: put the text back under the key that the volume names, or let the volume name the key that is there
(` + "`kubectl -n kube-system edit deployment coredns`" + `). A whole ConfigMap comes back with ` + "`kubeadm init phase addon coredns`" + `,
the add-on or the chart. The kubelet tries again by itself, within two minutes.`,
}

var (
	// keyMissing and mapMissing match what the kubelet says (k8s.io/kubernetes
	// pkg/volume/configmap/configmap.go, and the API server's words for NotFound).
	keyMissing = regexp.MustCompile(`configmap references non-existent config key: (\S+)`)
	mapMissing = regexp.MustCompile(`configmap "([^"]+)" not found`)
	// fileMissing matches what CoreDNS prints when it does not find the Corefile that its
	// flag -conf names (coredns coremain/run.go).
	fileMissing = regexp.MustCompile(`loading Caddyfile via flag: open (\S+): no such file or directory`)
)

const (
	// tokenVolume begins the name of the volume that the API server adds to pods; it mounts
	// a ConfigMap, too (k8s.io/kubernetes plugin/pkg/admission/serviceaccount).
	tokenVolume = "kube-api-access-"
	// rootCA is that ConfigMap (k8s.io/kubernetes pkg/controller/certificates/rootcacertpublisher).
	rootCA = "kube-root-ca.crt"
)

// lack is a ConfigMap that is missing, or a key of one.
type lack struct {
	name, key string
}

func findConfigMapKey(s *facts.Snapshot) []checks.Finding {
	fleet, events := newFleet(s), mountEvents(s)
	var now, later []checks.Finding
	for _, v := range fleet.servers {
		if v.pod.Deleting {
			continue
		}
		if line, found := v.noCorefile(s); found {
			now = told(now, v.without(s, lack{corefileMap(s, v.pod), "Corefile"}, v.quote(line)))
			continue
		}
		stuck := v.pod.Node != "" && v.pod.Phase == corev1.PodPending && v.container.State.Phase != facts.Running
		if stuck && s.Taken.Sub(v.pod.Created.Time()) < grace {
			continue
		}
		for _, l := range fleet.lacking(s, v, events[v.pod.Ref()]) {
			f := v.without(s, l.lack, l.evidence...)
			if stuck {
				now = told(now, f)
				continue
			}
			f.Message = "will keep CoreDNS from starting: " + l.words()
			later = told(later, f)
		}
	}
	return fleet.together(now, later)
}

// LackedKeys returns the keys that the pods of a finding of ConfigMapKey ask of its ConfigMap
// in vain.
func LackedKeys(s *facts.Snapshot, f checks.Finding) []string {
	fleet, events := newFleet(s), mountEvents(s)
	var out []string
	add := func(l lack) {
		if l.name == f.Subject.Name && l.key != "" && !slices.Contains(out, l.key) {
			out = append(out, l.key)
		}
	}
	for _, v := range fleet.servers {
		if !slices.Contains(f.Places, v.pod.Ref()) || v.pod.Namespace != f.Subject.Namespace {
			continue
		}
		if _, found := v.noCorefile(s); found {
			add(lack{corefileMap(s, v.pod), "Corefile"})
		}
		for _, l := range fleet.lacking(s, v, events[v.pod.Ref()]) {
			add(l.lack)
		}
	}
	return out
}

// mountEvents returns the newest failure to mount a ConfigMap of each pod.
func mountEvents(s *facts.Snapshot) map[facts.Ref]*facts.Event {
	out := map[facts.Ref]*facts.Event{}
	for _, e := range s.EventsOf("FailedMount") {
		if keyMissing.MatchString(e.Message) || mapMissing.MatchString(e.Message) {
			if known := out[e.About]; known == nil || e.Seen >= known.Seen {
				out[e.About] = e
			}
		}
	}
	return out
}

type shown struct {
	lack
	evidence []checks.Evidence
}

// lacking returns what a server's pod mounts and the API does not have: first by what its
// Deployment says, then by what the kubelet says. What is there by now is no longer
// missing, whatever an event says.
func (f *fleet) lacking(s *facts.Snapshot, v server, event *facts.Event) []shown {
	var out []shown
	if spec := f.template(v.pod); spec != nil {
		for _, l := range missingVolumes(s, v.pod, spec) {
			quotes := []checks.Evidence{checks.Quote(owner(v.pod).String()+", volumes", l.asked())}
			out = append(out, shown{l, append(quotes, eventQuote(v.pod, event)...)})
		}
	}
	if len(out) > 0 || event == nil || v.container.State.Phase == facts.Running {
		return out
	}
	if m := mapMissing.FindStringSubmatch(event.Message); m != nil && s.ConfigMap(v.pod.Namespace, m[1]) == nil {
		return []shown{{lack{name: m[1]}, eventQuote(v.pod, event)}}
	}
	m := keyMissing.FindStringSubmatch(event.Message)
	if m != nil && len(v.pod.ConfigMaps) == 1 && !has(s, v.pod, v.pod.ConfigMaps[0], m[1]) && !strings.Contains(event.Message, tokenVolume) {
		return []shown{{lack{v.pod.ConfigMaps[0], m[1]}, eventQuote(v.pod, event)}}
	}
	return nil
}

// missingVolumes returns what the volumes of a pod ask for in vain. Only ConfigMaps that
// the pod itself names were looked for.
func missingVolumes(s *facts.Snapshot, p *facts.Pod, spec *corev1.PodSpec) []lack {
	var out []lack
	for _, volume := range spec.Volumes {
		cm := volume.ConfigMap
		if cm == nil || cm.Optional != nil && *cm.Optional || !slices.Contains(p.ConfigMaps, cm.Name) {
			continue
		}
		if s.ConfigMap(p.Namespace, cm.Name) == nil {
			out = append(out, lack{name: cm.Name})
			continue
		}
		for _, item := range cm.Items {
			if !has(s, p, cm.Name, item.Key) {
				out = append(out, lack{cm.Name, item.Key})
			}
		}
	}
	return out
}

func has(s *facts.Snapshot, p *facts.Pod, name, key string) bool {
	cm := s.ConfigMap(p.Namespace, name)
	if cm == nil {
		return false
	}
	_, text := cm.Data[key]
	_, binary := cm.BinaryData[key]
	return text || binary
}

func eventQuote(p *facts.Pod, event *facts.Event) []checks.Evidence {
	if event == nil {
		return nil
	}
	return []checks.Evidence{checks.Quote(p.Ref().String()+", event "+event.Reason, event.Message)}
}

// noCorefile returns the line with which a crashing server says that its Corefile is
// not there.
func (v server) noCorefile(s *facts.Snapshot) (said, bool) {
	if !v.failing(s) {
		return said{}, false
	}
	for _, w := range v.words(s) {
		if fileMissing.MatchString(w.text) {
			return w, true
		}
	}
	return said{}, false
}

// corefileMap returns the ConfigMap of a pod in which the Corefile is missing, or "" where
// more than one may be meant, or it is there.
func corefileMap(s *facts.Snapshot, p *facts.Pod) string {
	if len(p.ConfigMaps) != 1 || has(s, p, p.ConfigMaps[0], "Corefile") {
		return ""
	}
	return p.ConfigMaps[0]
}

func (l lack) words() string {
	if l.key == "" {
		return "it does not exist, and the pods mount it"
	}
	return fmt.Sprintf("it has no key %q, which the pods mount", l.key)
}

func (l lack) asked() string {
	if l.key == "" {
		return "configMap " + l.name
	}
	return "configMap " + l.name + ", key " + l.key
}

// without says what a server's pods lack. Where it is not known which ConfigMap should
// have held it, the owner is told instead.
func (v server) without(s *facts.Snapshot, l lack, evidence ...checks.Evidence) checks.Finding {
	if l.name == "" {
		return checks.Finding{Subject: owner(v.pod), Places: []facts.Ref{v.pod.Ref()}, Evidence: evidence,
			Message: "crashes: the Corefile that CoreDNS is told to read is not in its container",
			Remedy:  "Compare the path behind -conf with where the volume of the ConfigMap is mounted, and with the keys and paths of that volume."}
	}
	f := checks.Finding{
		Subject:  facts.Ref{Kind: "ConfigMap", Namespace: v.pod.Namespace, Name: l.name},
		Message:  "keeps CoreDNS from starting: " + l.words(),
		Evidence: evidence, Places: []facts.Ref{v.pod.Ref()},
	}
	cm := s.ConfigMap(v.pod.Namespace, l.name)
	switch {
	case l.name == rootCA:
		f.Remedy = "kube-controller-manager makes it in every namespace: see whether that runs."
		return f
	case cm == nil:
		f.Remedy = "Make it again: with kubeadm by kubeadm init phase addon coredns, else by the add-on, chart or manifest that it came from."
		return f
	}
	keys := slices.Sorted(maps.Keys(cm.Data))
	f.Evidence = append(f.Evidence, checks.Quote(f.Subject.String(), "keys: "+strings.Join(keys, ", ")))
	f.Remedy = fmt.Sprintf("Put the text under the key %s, or let the volume of the pods name a key that is there.", l.key)
	if other := Spelled(keys, l.key); other != "" {
		f.Remedy = fmt.Sprintf("Put what stands under %s under the key %s, or let the volume of the pods name %s.", other, l.key, other)
	}
	return f
}

// Spelled returns the key that is meant, if only one can be.
func Spelled(keys []string, key string) string {
	if len(keys) == 1 {
		return keys[0]
	}
	for _, k := range keys {
		if strings.EqualFold(k, key) {
			return k
		}
	}
	return ""
}
