package kubeproxy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// IPVSExclude finds nodes that all answer for a load balancer's address, of which one
// should.
var IPVSExclude = &checks.Check{
	ID:       "kube-proxy-ipvs-exclude",
	Title:    "In mode ipvs nodes leave the addresses of load balancers to who announces them",
	Severity: checks.Warning,
	URL:      "https://metallb.io/installation/#preparation",
	Needs:    []*facts.Source{facts.ConfigMaps, facts.DaemonSets, facts.SystemPods, facts.Services},
	IfRead:   []*facts.Source{facts.Events},
	When:     noIPVSMode,
	ByHand: []string{"kubectl -n kube-system get configmap kube-proxy -o yaml | grep strictARP", "kubectl get services -A | grep LoadBalancer",
		"arping -c 5 ADDRESS # from a machine of the same network: more than one MAC address answers"},
	Run: findIPVSExclude,
	Doc: `In mode ipvs kube-proxy gives the addresses of all Services, those of load balancers too, to the interface kube-ipvs0 of
every node. Linux answers ARP for an address of any of its interfaces on each of them. So all nodes answer who asks for a load
balancer's address, and not only the one that MetalLB (layer 2) or kube-vip (ARP) has chosen: which node gets the traffic is
chance and changes, long connections break, and ` + "`externalTrafficPolicy: Local`" + ` meets nodes without a pod. ` + "`strictARP: true`" + `
makes kube-proxy set arp_ignore and arp_announce so that a node answers only for what stands on the interface asked at.

Whether MetalLB announces by ARP or by BGP stands in objects that are not read here. Its events on Services tell it ("announcing
from node … with protocol "layer2""), for an hour; without one of them the finding is information only. Of kube-vip the
variables vip_arp and svc_enable are looked at, in its DaemonSet.

**How it comes about**: the mode was changed to ipvs, or MetalLB or kube-vip was installed, and this setting, which only the two
together need, was not made. Its default is false.

**Cure**: ` + "`ipvs.strictARP: true`" + ` in kube-proxy's configuration, then restart the DaemonSet. Or leave the mode ipvs, which is
deprecated: the other modes give nodes no addresses.`,
}

// noIPVSMode says why the question has no meaning, or "".
func noIPVSMode(s *facts.Snapshot) string {
	if why := noSettings(s); why != "" {
		return why
	}
	if !slices.ContainsFunc(templates(s), func(p *proxy) bool { c := p.settings(); return c != nil && c.mode() == "ipvs" }) {
		return "kube-proxy is not in mode ipvs"
	}
	return ""
}

func findIPVSExclude(s *facts.Snapshot) []checks.Finding {
	announcer, surely := announces(s)
	balanced := firstBalanced(s)
	if announcer.Text == "" || balanced.Text == "" {
		return nil
	}
	var out []checks.Finding
	for _, p := range proxies(s) {
		c := p.settings()
		if c == nil || c.mode() != "ipvs" || c.IPVS.StrictARP || slices.ContainsFunc(p.flags(), strictFlag.MatchString) {
			continue
		}
		f := checks.Finding{
			Subject:  c.at.ref(),
			Message:  "lets every node answer ARP for the addresses of load balancers, which one node at a time is to announce",
			Evidence: []checks.Evidence{c.quote("strictARP", "false"), c.quote("mode", "ipvs"), announcer, balanced},
			Remedy:   fmt.Sprintf("Set strictARP: true below ipvs in key %s of %s, then restart kube-proxy: %s.", c.at.key, c.at.ref(), p.restart()),
		}
		if !surely {
			f.Severity = checks.Info
			f.Message = "lets every node answer ARP for the addresses of load balancers, which is wrong where MetalLB announces them by ARP (layer 2)"
		}
		out = append(out, f)
	}
	return once(out)
}

var strictFlag = regexp.MustCompile(`--ipvs-strict-arp(=true)?$`)

// flags returns the words of kube-proxy's command line.
func (p *proxy) flags() []string {
	c := &p.spec.Containers[0]
	return slices.Concat(c.Command, c.Args)
}

// announces quotes what announces load balancers' addresses; surely tells whether that is
// done by ARP.
func announces(s *facts.Snapshot) (quote checks.Evidence, surely bool) {
	for _, d := range s.DaemonSets {
		from := setRef(d).String() + ", image"
		for i := range d.Spec.Template.Spec.Containers {
			c := &d.Spec.Template.Spec.Containers[i]
			switch {
			case vipImage.MatchString(c.Image) && set(c, "vip_arp") && set(c, "svc_enable"):
				return checks.Quote(from, c.Image+", with vip_arp and svc_enable"), true
			case quote.Text == "" && (speakerImage.MatchString(c.Image) || speaker(d)):
				quote = checks.Quote(from, c.Image)
			}
		}
	}
	if quote.Text == "" {
		return quote, false
	}
	for _, e := range s.EventsOf("nodeAssigned") {
		if e.About.Kind == "Service" && strings.Contains(e.Message, `protocol "layer2"`) {
			return checks.Quote(e.About.String()+", event "+e.Reason, e.Message), true
		}
	}
	return quote, false
}

var (
	vipImage     = regexp.MustCompile(`(^|/)kube-vip(:|@|$)`)
	speakerImage = regexp.MustCompile(`(^|/)metallb(/|-)speaker(:|@|$)`)
)

// speaker recognises MetalLB's DaemonSet by the labels of its manifests and of its chart.
func speaker(d *appsv1.DaemonSet) bool {
	l := d.Spec.Template.Labels
	return l["app"] == "metallb" && l["component"] == "speaker" ||
		l["app.kubernetes.io/name"] == "metallb" && l["app.kubernetes.io/component"] == "speaker"
}

// set tells whether a container has a variable that says true.
func set(c *corev1.Container, name string) bool {
	return slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name && strings.EqualFold(e.Value, "true") })
}

// firstBalanced quotes a Service whose load balancer's address kube-proxy gives to nodes.
func firstBalanced(s *facts.Snapshot) checks.Evidence {
	for _, svc := range s.Services {
		if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		for _, in := range svc.Status.LoadBalancer.Ingress {
			if in.IP != "" && (in.IPMode == nil || *in.IPMode == corev1.LoadBalancerIPModeVIP) {
				return checks.Quote(facts.ServiceRef(svc).String()+", load balancer", in.IP)
			}
		}
	}
	return checks.Evidence{}
}
