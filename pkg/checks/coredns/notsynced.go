package coredns

import (
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// NotSynced finds CoreDNS that answers before it has read what it is to answer from.
var NotSynced = &checks.Check{
	ID:       "coredns-not-synced",
	Title:    "CoreDNS has read the cluster's objects",
	Severity: checks.Error,
	URL:      "https://coredns.io/plugins/kubernetes/#startup",
	Needs:    []*facts.Source{facts.SystemPods, facts.Answers},
	MayUse:   []*facts.Source{facts.Proxy},
	When:     noServers,
	Parts:    syncedParts,
	Explains: []*checks.Check{symptom.PodNotReady, symptom.DNSServiceNoEndpoints, symptom.DNSDown, symptom.DNSProbeCluster, ServfailRate},
	ByHand: []string{"kubectl get --raw /api/v1/namespaces/kube-system/pods/POD:8181/proxy/ready",
		"kubectl -n kube-system logs POD", "kubectl get service,endpointslices -n default"},
	Run: findNotSynced,
	Doc: `When it starts, CoreDNS waits for a few seconds until it has read Services, endpoints and namespaces from the API server, and then
begins to serve without them: names of the cluster get SERVFAIL, ":8181/ready" answers with the word kubernetes, and the pod is not Ready.
A minute after its start that is a finding.

Releases of today may say nothing more in their log than "starting server with unsynced Kubernetes API", for minutes or for ever. Where the
log does say why, **coredns-api-unreachable** tells it, and where a right is missing **coredns-rbac**: this is then told below it.

**How it comes about**: packets between the pod and the API server are lost: kube-proxy on the node, which leads to the Service default/kubernetes, the network
plugin, a firewall. Or the API server refuses.

**Cure**: that of the cause. CoreDNS goes on trying, and becomes Ready by itself.`,
}

// syncedParts names what the servers that are not Ready must have said.
func syncedParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, v := range newFleet(s).servers {
		if key := v.pod.Ref().Key(); v.waits(s) {
			out = append(out, checks.Part{Source: facts.Answers, Key: key}, checks.Part{Source: facts.Proxy, Key: key + "/8181"})
		}
	}
	return out
}

// notSynced tells whether a server serves without the cluster's objects.
func (r reply) notSynced(s *facts.Snapshot) bool {
	return !r.pod.Ready && r.answer.Rcode == "SERVFAIL" && strings.Contains(r.waitsFor(s), "kubernetes")
}

// waitsFor returns the plugins that a server says it waits for, or "".
func (v server) waitsFor(s *facts.Snapshot) string {
	if body := strings.TrimSpace(s.Proxy[v.pod.Ref().Key()+"/8181/ready"]); body != "OK" {
		return body
	}
	return ""
}

func findNotSynced(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, list := range replies(s) {
		for _, r := range list {
			if r.notSynced(s) {
				out = append(out, checks.Finding{
					Subject: r.pod.Ref(), Places: []facts.Ref{r.pod.Ref()}, Message: "has read nothing from the API server, and answers SERVFAIL for the cluster's names",
					Evidence: []checks.Evidence{r.quoteAnswer(r.answer), checks.Quote(r.pod.Ref().String()+", GET :8181/ready", "waits for: "+r.waitsFor(s))},
					Remedy:   checks.Command("Look whether pods of node %s reach Service default/kubernetes: kube-proxy there, the network plugin, a firewall. It goes on trying by itself.", r.pod.Node),
				})
			}
		}
	}
	out = newFleet(s).grade(out)
	for i := range out {
		out[i].Places = nil // the subject is the only one
		if unproxied(s, s.Pod(out[i].Subject.Namespace, out[i].Subject.Name)) {
			out[i].Places = []facts.Ref{APIService()}
		}
	}
	return out
}
