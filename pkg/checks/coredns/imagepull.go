package coredns

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ImagePull finds CoreDNS pods whose image does not get to the node.
var ImagePull = &checks.Check{
	ID:       "coredns-image-pull",
	Title:    "The images of the CoreDNS pods can be pulled",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/containers/images/#imagepullbackoff",
	Needs:    []*facts.Source{facts.SystemPods},
	MayUse:   []*facts.Source{facts.SystemEvents},
	Explains: []*checks.Check{symptom.PodNotReady, symptom.DNSServiceNoEndpoints},
	ByHand: []string{"kubectl -n kube-system describe pods -l k8s-app=kube-dns",
		"kubectl -n kube-system get pods -l k8s-app=kube-dns -o jsonpath='{.items[*].spec.containers[*].image}'",
		"crictl pull IMAGE # on the node"},
	Run: findImagePull,
	Doc: `A container whose image is not on the node waits until the kubelet has pulled it (**ErrImagePull**, then
**ImagePullBackOff** between attempts of up to five minutes). CoreDNS then serves nothing from there.

The kubelet quotes why. **not found**, **manifest unknown**: the tag or the path is wrong, often by a slip in an upgrade, or
because a mirror lacks it: kubeadm's is registry.k8s.io/coredns/coredns, with the name twice. **denied**, **unauthorized**: the
registry wants credentials, or has no such path and does not say so. **toomanyrequests**: its limit for anonymous pulls.
**timeout**, **no such host**, **connection refused**: the node does not reach the registry; the node resolves its name with its
own servers, not with CoreDNS. **x509**: a proxy or a private registry whose certificate the runtime does not trust.

Cure: that of the reason; correct the image with ` + "`kubectl -n kube-system set image deployment/coredns coredns=IMAGE`" + `, undo the
upgrade with ` + "`kubectl -n kube-system rollout undo deployment coredns`" + `, or load the image into the runtime by hand.`,
}

// unpulled are the reasons with which a container waits for its image
// (k8s.io/kubernetes pkg/kubelet/images/types.go, k8s.io/cri-api pkg/errors).
func unpulled(reason string) bool {
	return slices.Contains([]string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
		"ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}, reason)
}

func findImagePull(s *facts.Snapshot) []checks.Finding {
	fleet, failures := newFleet(s), pullEvents(s)
	var out []checks.Finding
	for _, v := range fleet.servers {
		if v.pod.Deleting || s.Taken.Sub(v.pod.Created.Time()) < grace {
			continue
		}
		for i := range v.pod.Containers {
			if c := &v.pod.Containers[i]; c.State.Phase == facts.Waiting && unpulled(c.State.Reason) {
				out = told(out, noImage(v.pod, c, failures[v.pod.Ref()]))
			}
		}
	}
	return fleet.grade(out)
}

// pullEvents returns the newest failure to pull an image of each pod.
func pullEvents(s *facts.Snapshot) map[facts.Ref]*facts.Event {
	out := map[facts.Ref]*facts.Event{}
	for _, e := range s.EventsOf("Failed") {
		if known := out[e.About]; strings.HasPrefix(e.Message, "Failed to pull image") && (known == nil || e.Seen >= known.Seen) {
			out[e.About] = e
		}
	}
	return out
}

func noImage(p *facts.Pod, c *facts.Container, event *facts.Event) checks.Finding {
	said := c.State.Message
	f := checks.Finding{
		Subject: owner(p), Places: []facts.Ref{p.Ref()},
		Evidence: []checks.Evidence{checks.Quote(containerOf(p.Ref(), c.Name), "image: "+c.Image),
			checks.Quote(containerOf(p.Ref(), c.Name), strings.TrimSuffix(c.State.Reason+": "+said, ": "))},
	}
	if event != nil && !strings.Contains(said, "failed to pull") && strings.Contains(event.Message, c.Image) {
		f.Evidence = append(f.Evidence, checks.Quote(p.Ref().String()+", event "+event.Reason, event.Message))
		said += " " + event.Message
	}
	why, remedy := whyUnpulled(c.State.Reason, said)
	f.Message = "waits for an image that " + why
	f.Remedy = strings.ReplaceAll(remedy, "IMAGE", c.Image)
	return f
}

// refusal is what a registry or a runtime says, and what it means.
type refusal struct {
	says        *regexp.Regexp
	why, remedy string
}

// refusals are held against the message in their order: a registry that denies access
// often adds that the image may not exist.
func refusals() []refusal {
	return []refusal{
		{regexp.MustCompile(`(?i)toomanyrequests|429 Too Many|pull rate limit`), "its registry refuses for too many requests",
			"Wait until the registry's limit is over, pull IMAGE with credentials, or take it from another registry (registry.k8s.io/coredns/coredns)."},
		{regexp.MustCompile(`(?i)denied|unauthorized|forbidden|authentication required|no basic auth`), "its registry does not give away",
			"See whether IMAGE is spelled right, since registries say so of what they do not have, too; if it is, give the pods an imagePullSecret, or the nodes the right to pull."},
		{regexp.MustCompile(`(?i)not found|manifest unknown|name unknown|does not exist|no match for platform|no matching manifest`), "does not exist in its registry",
			"Correct IMAGE: this path, this tag, or this tag for the nodes' architecture is not there. A rollout is undone with kubectl rollout undo."},
		{regexp.MustCompile(`(?i)x509|certificate`), "its node does not pull for want of trust in the registry's certificate",
			"Let the container runtime trust the registry of IMAGE, or the proxy before it."},
		{regexp.MustCompile(`(?i)no space left`), "its node has no room for", "Free disk space on the node for IMAGE."},
		{regexp.MustCompile(`(?i)no such host|server misbehaving|i/o timeout|connection refused|deadline exceeded|TLS handshake timeout|network is unreachable|no route to host|connection reset|EOF`),
			"its node cannot fetch: it does not reach the registry",
			"Let the node reach the registry of IMAGE: its own DNS servers, route, firewall and proxy; cluster DNS has no part in it. Or load the image by hand, or from a registry within reach."},
	}
}

func whyUnpulled(reason, message string) (why, remedy string) {
	switch reason {
	case "InvalidImageName":
		return "has an invalid name", "Correct the image, which is written as IMAGE."
	case "ErrImageNeverPull":
		return "is not on its node, and is never to be pulled", "Load IMAGE on the node, or take imagePullPolicy: Never out."
	case "SignatureValidationFailed":
		return "its node refuses for its signature", "Take IMAGE from where it is signed, or correct the runtime's policy for signatures."
	}
	for _, r := range refusals() {
		if r.says.MatchString(message) {
			return r.why, r.remedy
		}
	}
	return "cannot be pulled", "Read in kubectl describe on the pod why IMAGE cannot be pulled, and try it on the node with crictl pull."
}
