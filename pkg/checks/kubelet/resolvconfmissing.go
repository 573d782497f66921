package kubelet

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

const (
	// limitsEvent is what a kubelet reports about its node, once when it starts.
	limitsEvent = "CheckLimitsForResolvConf"
	// sandboxEvent is what it reports about a pod that it cannot start, and will try again
	// within minutes.
	sandboxEvent = "FailedCreatePodSandBox"
	// fresh is how old the last try to start a pod may be.
	fresh = 10 * time.Minute
)

// openFailed is how the kubelet says that the file of resolvConf is not there: of its node
// in these words alone, of a pod with others before them. What the runtime says of its own
// files has "rpc error" there (k8s.io/kubernetes pkg/kubelet/network/dns, kuberuntime).
var openFailed = regexp.MustCompile(`^(?:Failed (?:to )?create pod sandbox: )?open (.+): no such file or directory$`)

// ResolvConfMissing finds kubelets whose resolv.conf does not exist.
var ResolvConfMissing = &checks.Check{
	ID:       "kubelet-resolvconf-missing",
	Title:    "The resolv.conf that each kubelet reads exists",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-custom-nameservers/#introduction",
	Needs:    []*facts.Source{facts.Events, facts.Nodes},
	MayUse:   []*facts.Source{facts.Pods, facts.Configz, facts.Files},
	Parts:    missingParts,
	Explains: []*checks.Check{symptom.PodNotReady, symptom.ServiceNoEndpoints, symptom.DNSServiceNoEndpoints},
	ByHand: []string{"kubectl get events -A --field-selector reason=CheckLimitsForResolvConf",
		"kubectl get events -A --field-selector reason=FailedCreatePodSandBox",
		`kubectl get --raw "/api/v1/nodes/NODE/proxy/configz"`,
		"grep resolvConf /var/lib/kubelet/config.yaml; ls -lL /etc/resolv.conf /run/systemd/resolve/resolv.conf # on the node"},
	Run: findResolvConfMissing,
	Doc: `Before it starts a pod, whatever its ` + "`dnsPolicy`" + `, the kubelet reads the file that ` + "`resolvConf`" + ` in its configuration
names. Where that file does not exist no pod starts on the node any more, not even one on the host's network: they stay in
ContainerCreating, with the event ` + "`FailedCreatePodSandBox: open …: no such file or directory`" + `. Pods that run already go on. With --depth host
the file is looked for, before any pod fails.

How it comes about: kubeadm wrote ` + "`/run/systemd/resolve/resolv.conf`" + ` while systemd-resolved ran on the node, and it was switched
off or removed later; the configuration of an Ubuntu node was copied to a machine that has no systemd-resolved; a slip in the
path; /etc/resolv.conf is a link to a file that is gone.

Cure: start systemd-resolved again, or set ` + "`resolvConf`" + ` in /var/lib/kubelet/config.yaml of the node to a file that exists and names
servers that are no loopback addresses, and restart the kubelet. The pods then start by themselves. Look at ConfigMap
kube-system/kubelet-config too: ` + "`kubeadm upgrade node`" + ` takes the value from there.`,
}

// missingParts names, where nodes are looked at, the file that each kubelet reads; of one
// that says nothing of its configuration it is not known which.
func missingParts(s *facts.Snapshot) []checks.Part {
	if s.Depth < facts.Host {
		return nil
	}
	var out []checks.Part
	for _, n := range s.LinuxNodes() {
		if s.Configz[n.Name] == nil {
			out = append(out, checks.Part{Source: facts.Configz, Key: n.Name})
		}
	}
	return append(out, resolvConfFiles(s)...)
}

// complaint is what a kubelet said of its missing file.
type complaint struct {
	path  string
	said  []*facts.Event
	stuck []facts.Ref // pods that it cannot start
	gone  bool        // the file was looked for, and is not there
}

func findResolvConfMissing(s *facts.Snapshot) []checks.Finding {
	complaints := map[string]*complaint{}
	for _, e := range s.EventsOf(limitsEvent) {
		if m := openFailed.FindStringSubmatch(e.Message); m != nil && e.About.Kind == "Node" && believed(s, e.About.Name, m[1]) {
			complaints[e.About.Name] = &complaint{path: m[1], said: []*facts.Event{e}}
		}
	}
	for _, e := range s.EventsOf(sandboxEvent) {
		if m := openFailed.FindStringSubmatch(e.Message); m != nil {
			addStuck(s, complaints, e, m[1])
		}
	}
	var out []checks.Finding
	for _, n := range s.Nodes {
		c := complaints[n.Name]
		if file := resolvConf(s, n.Name); file != "" && host.Of(s, n.Name).Absent(file) {
			if c == nil {
				c = &complaint{path: file}
			}
			c.gone = c.path == file
		}
		if c != nil && (c.gone || !c.over(s, n.Name)) {
			out = append(out, c.finding(n.Name))
		}
	}
	return out
}

// addStuck notes a pod that waits for the file.
func addStuck(s *facts.Snapshot, complaints map[string]*complaint, e *facts.Event, path string) {
	p := s.Pod(e.About.Namespace, e.About.Name)
	waits := p != nil && p.Node != "" && len(p.IPs()) == 0 && !p.Finished() && s.Taken.Sub(e.Seen.Time()) < fresh
	if !waits || !believed(s, p.Node, path) {
		return
	}
	c := complaints[p.Node]
	if c == nil {
		c = &complaint{path: path}
		complaints[p.Node] = c
	}
	if c.path != path || slices.Contains(c.stuck, p.Ref()) {
		return
	}
	if len(c.stuck) < maxQuoted {
		c.said = append(c.said, e)
	}
	c.stuck = append(c.stuck, p.Ref())
}

// maxQuoted is how many events that say the same are quoted.
const maxQuoted = 3

// believed tells whether a path is what the kubelet reads now. Where its configuration is
// not known the path must look like it: it is the kubelet that opens other files, too.
func believed(s *facts.Snapshot, node, path string) bool {
	if _, there := s.Files[node][path]; there {
		return false
	}
	if s.Configz[node] == nil {
		return strings.HasSuffix(path, "resolv.conf")
	}
	return resolvConf(s, node) == path
}

// over tells whether the kubelet has started a pod since it complained, which it cannot
// without the file.
func (c *complaint) over(s *facts.Snapshot, node string) bool {
	if len(c.stuck) > 0 {
		return false
	}
	last := c.said[len(c.said)-1].Seen
	return slices.ContainsFunc(s.PodsOn(node), func(p *facts.Pod) bool {
		return slices.ContainsFunc(p.Containers, func(k facts.Container) bool { return p.Created > last && k.State.Phase == facts.Running })
	})
}

func (c *complaint) finding(node string) checks.Finding {
	f := checks.Finding{
		Subject: facts.NodeRef(node),
		Message: "cannot start pods: the resolv.conf that its kubelet reads does not exist",
		Remedy: "Set resolvConf in /var/lib/kubelet/config.yaml of the node to a file that exists and names servers that are no loopback addresses, " +
			"in place of " + c.path + ", and restart the kubelet.",
		Places: c.stuck,
	}
	if c.path == resolvedUplink {
		f.Remedy = "Start systemd-resolved on the node again, or set resolvConf in its /var/lib/kubelet/config.yaml to another file, " +
			"/etc/resolv.conf if that names no loopback address, and restart the kubelet."
	}
	if len(c.stuck) == 0 {
		f.Severity = checks.Warning // it strikes with the next pod
	}
	if c.gone {
		f.Evidence = append(f.Evidence, checks.Quote("Node "+node+", kubelet configz", fmt.Sprintf("resolvConf: %q", c.path)), checks.QuoteFile(node, c.path, "not there"))
	}
	for _, e := range c.said {
		f.Evidence = append(f.Evidence, checks.Quote(e.About.String()+", event "+e.Reason, e.Message))
	}
	return f
}
