package facts

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Answer is what a DNS server said to a question that came through a port-forward, so that
// no pod had to be started for it. It came over TCP and from the server's own loopback
// address.
type Answer struct {
	Namespace string     `json:"namespace"`
	Pod       string     `json:"pod"`
	Kind      AnswerKind `json:"kind"`
	Name      string     `json:"name"` // the name or reverse name that was asked for, with the final dot
	Type      string     `json:"type"` // A, AAAA, PTR

	// Rcode is the answer's code, such as SERVFAIL; Records are the first of the values in
	// it that are of the type that was asked for.
	Rcode   string   `json:"rcode,omitempty"`
	Records []string `json:"records,omitempty"`

	Took time.Duration `json:"took,omitempty"` // from the question to the answer, or to the end of waiting
	Err  string        `json:"err,omitempty"`  // why nothing came, "" where something did
}

// AnswerKind is what a name belongs to that was asked for.
type AnswerKind string

// The kinds of answers.
const (
	AnswerCluster AnswerKind = "cluster" // the API server's Service, kubernetes.default.svc
	AnswerReverse AnswerKind = "reverse" // the address of that Service
	AnswerOutside AnswerKind = "outside" // a name that is none of the cluster's
)

// OK tells whether an answer without an error came. That a name does not exist is one.
func (a Answer) OK() bool {
	return a.Err == "" && (a.Rcode == "NOERROR" || a.Rcode == "NXDOMAIN")
}

// Said is what came of a question in a few words, without what was asked: "SERVFAIL".
func (a Answer) Said() string { return cmp.Or(a.Err, a.Rcode, "nothing") }

// String says what was asked and what came of it, for evidence:
// "A kubernetes.default.svc.cluster.local.: NOERROR, 10.96.0.1 (2 ms)".
func (a Answer) String() string {
	text := fmt.Sprintf("%s %s: %s", a.Type, a.Name, a.Said())
	if len(a.Records) > 0 {
		text += ", " + strings.Join(a.Records, ", ")
	}
	if a.Err == "" {
		text += fmt.Sprintf(" (%d ms)", a.Took.Milliseconds())
	}
	return text
}

// AnswersOf returns what a pod of cluster DNS answered, nil where it was not asked.
func (s *Snapshot) AnswersOf(p *Pod) []Answer { return s.index.answers[p.Namespace+"/"+p.Name] }

// AnswerOf returns what a pod of cluster DNS answered to one of the questions, or nil.
func (s *Snapshot) AnswerOf(p *Pod, kind AnswerKind) *Answer {
	all := s.AnswersOf(p)
	if i := slices.IndexFunc(all, func(a Answer) bool { return a.Kind == kind }); i >= 0 {
		return &all[i]
	}
	return nil
}

// DNSPort returns the port on which a pod of cluster DNS takes questions over TCP, as far
// as it declares it: 53 where it does not.
func (p *Pod) DNSPort() int {
	for _, c := range p.Containers {
		for _, port := range c.Ports {
			if p.RunsDNS(c) && port.Protocol == corev1.ProtocolTCP && (port.ContainerPort == dnsPort || port.Name == "dns-tcp") {
				return int(port.ContainerPort)
			}
		}
	}
	return dnsPort
}

// NotAskable says why a pod of cluster DNS cannot be asked anything, or "": it does not
// run, or not for long. One that runs and is not Ready can be.
func (p *Pod) NotAskable() string {
	switch {
	case p.Deleting:
		return "it is being deleted"
	case p.Phase != corev1.PodRunning:
		return "it does not run"
	}
	for _, c := range p.Containers {
		if p.RunsDNS(c) && c.State.Phase != 0 && c.State.Phase != Running {
			return "it does not run (" + cmp.Or(c.State.Reason, "not started") + ")"
		}
	}
	return ""
}

// selective matches a line of a Corefile after which a question from the server's own
// loopback address may be answered otherwise than one of a client (coredns plugin/acl,
// plugin/view), or does not come to the server at all (plugin/bind).
var selective = regexp.MustCompile(`(?m)^\s*(acl|view|bind)\b`)

// Selective says why what a pod of cluster DNS answers from outside need not be what it
// answers its clients, or "". It reads ConfigMaps and Pods.
func (s *Snapshot) Selective(p *Pod) string {
	if p.HostNetwork {
		return "it is on its node's network, where another server may have answered"
	}
	configured := false
	for _, name := range p.ConfigMaps {
		cm := s.ConfigMap(p.Namespace, name)
		if cm == nil {
			continue // an optional one that is not there
		}
		for key, text := range cm.Data {
			configured = configured || key == "Corefile"
			if m := selective.FindStringSubmatch(text); m != nil {
				return "its Corefile has " + m[1] + ", which may keep clients and us apart"
			}
		}
	}
	if !configured {
		return "whether its Corefile keeps clients and us apart is not known"
	}
	return ""
}
