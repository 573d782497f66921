package plugins

import (
	"path"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Detected is a plugin that a snapshot shows.
type Detected struct {
	Plugin     *Plugin
	DaemonSets []*appsv1.DaemonSet // of its agents, in the order of the snapshot
	Pods       []*facts.Pod        // its agents
}

// Detect returns the plugins that the cluster runs, in the order of plugins.yaml. It
// reads DaemonSets and Pods and makes the best of either: a DaemonSet may have no pod
// yet, and a pod names the DaemonSet that it belongs to.
func Detect(s *facts.Snapshot) []Detected {
	found := make([]Detected, len(All()))
	for _, d := range s.DaemonSets {
		spec := &d.Spec.Template.Spec
		ref := facts.Ref{Kind: "DaemonSet", Namespace: d.Namespace, Name: d.Name}
		if i := recognise(ref, d.Spec.Template.Labels, specImages(spec)); i >= 0 {
			found[i].DaemonSets = append(found[i].DaemonSets, d)
		}
	}
	var known recognised
	for _, p := range s.Pods {
		if i := known.agentOf(p); i >= 0 {
			found[i].Pods = append(found[i].Pods, p)
		}
	}
	var out []Detected
	for i := range found {
		if len(found[i].DaemonSets) > 0 || len(found[i].Pods) > 0 {
			found[i].Plugin = &All()[i]
			out = append(out, found[i])
		}
	}
	return out
}

// Flannels returns Flannel and what holds it, as far as they have agents here.
func Flannels(s *facts.Snapshot) []Detected {
	return slices.DeleteFunc(Detect(s), func(d Detected) bool { return d.Plugin.ID != "flannel" && d.Plugin.ID != "canal" })
}

// Agents returns the pods of network plugins that run on nodes: not their operators
// and controllers. It reads Pods alone.
func Agents(s *facts.Snapshot) []*facts.Pod {
	var out []*facts.Pod
	var known recognised
	for _, p := range s.Pods {
		if known.agentOf(p) >= 0 {
			out = append(out, p)
		}
	}
	return out
}

// Stack returns the pods that make up the network, in order, each once: of cluster DNS and
// its caches on the nodes, of kube-proxy, and the agents. It reads Pods alone.
func Stack(s *facts.Snapshot) []*facts.Pod {
	all := slices.Concat(s.DNSPods(), s.NodeCaches(), s.KubeProxyPods(), Agents(s))
	slices.SortFunc(all, func(a, b *facts.Pod) int { return a.Ref().Compare(b.Ref()) })
	return slices.Compact(all)
}

// Agent returns the plugin whose agent this pod is, or nil.
func Agent(p *facts.Pod) *Plugin {
	if i := agentOf(p); i >= 0 {
		return &All()[i]
	}
	return nil
}

// agentOf returns the index of the plugin whose agent a pod is, or -1. What a
// Deployment runs on the host's network is a controller (Typha, antrea-controller).
func agentOf(p *facts.Pod) int {
	node := p.Owner.Kind == "DaemonSet" || p.HostNetwork && (p.Owner.Kind == "" || p.Owner.Kind == "Node")
	if !node || p.Finished() {
		return -1
	}
	return recognise(p.Owner, p.Labels, podImages(p))
}

// recognised remembers the last pod that was looked at closely: thousands of agents follow
// each other that differ in nothing.
type recognised struct {
	last  *facts.Pod
	index int
}

func (r *recognised) agentOf(p *facts.Pod) int {
	if r.last != nil && r.last.Template == p.Template && r.last.Finished() == p.Finished() && sameSpecs(r.last, p) {
		return r.index
	}
	r.last, r.index = p, agentOf(p)
	return r.index
}

func sameSpecs(a, b *facts.Pod) bool {
	return slices.EqualFunc(a.Containers, b.Containers, func(x, y facts.Container) bool { return x.ContainerSpec == y.ContainerSpec })
}

// Operators returns the plugins whose operator runs, with its pods: where it has made
// no agents, the plugin is only half installed. It reads Pods alone.
func Operators(s *facts.Snapshot) []Detected {
	var out []Detected
	for i := range All() {
		d := Detected{Plugin: &All()[i]}
		for _, p := range s.Pods {
			if len(d.Plugin.operators) > 0 && !p.Finished() && anyOf(d.Plugin.operators, podImages(p)) {
				d.Pods = append(d.Pods, p)
			}
		}
		if len(d.Pods) > 0 {
			out = append(out, d)
		}
	}
	return out
}

// recognise returns the index of the plugin that an owner, labels or images belong to,
// or -1. Each kind of mark is held against every plugin before the next is looked at:
// GKE's DaemonSet carries Cilium's labels.
func recognise(owner facts.Ref, labels map[string]string, images []string) int {
	list := All()
	if i := slices.IndexFunc(list, func(p Plugin) bool { return p.owns(owner) }); i >= 0 {
		return i
	}
	if i := slices.IndexFunc(list, func(p Plugin) bool { return p.labelled(labels) }); i >= 0 {
		return i
	}
	return slices.IndexFunc(list, func(p Plugin) bool { return anyOf(p.images, images) })
}

// Makes tells whether a DaemonSet that makes pods with these labels is the plugin's.
func (p *Plugin) Makes(set facts.Ref, labels map[string]string) bool {
	return p.owns(set) || p.labelled(labels)
}

func (p *Plugin) owns(owner facts.Ref) bool {
	return owner.Kind == "DaemonSet" && slices.ContainsFunc(p.DaemonSets, func(pattern string) bool {
		ok, _ := path.Match(pattern, owner.Key())
		return ok
	})
}

func (p *Plugin) labelled(labels map[string]string) bool {
	return slices.ContainsFunc(p.labels, func(set map[string]string) bool { return facts.Matches(set, labels) })
}

// anyOf tells whether the images hold all of any entry's expressions.
func anyOf(entries [][]*regexp.Regexp, images []string) bool {
	return slices.ContainsFunc(entries, func(all []*regexp.Regexp) bool {
		for _, re := range all {
			if !slices.ContainsFunc(images, func(image string) bool { return re.MatchString(repository(image)) }) {
				return false
			}
		}
		return true
	})
}

// repository cuts digest, tag and registry off an image.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	host, rest, found := strings.Cut(image, "/")
	if found && (strings.ContainsAny(host, ".:") || host == "localhost") {
		return rest
	}
	return image
}

func specImages(spec *corev1.PodSpec) []string {
	var out []string
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			out = append(out, list[i].Image)
		}
	}
	return out
}

func podImages(p *facts.Pod) []string {
	out := make([]string, 0, len(p.Containers))
	for i := range p.Containers {
		out = append(out, p.Containers[i].Image)
	}
	return out
}
