package cni

import (
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

const (
	sandboxEvent = "FailedCreatePodSandBox"
	// recent is how old the newest failure may be: a kubelet that fails at length tells of
	// it every five minutes at least.
	recent = 10 * time.Minute
	// enough is how many failures are no accident of the moment.
	enough = 3
)

// ailment is why a pod gets no network, as far as the plugin's words tell.
type ailment int

const (
	unnamed ailment = iota
	residue
	noProgram
	noSubnetEnv
	exhausted
	bridgeTaken
	noNodename
	weaveSilent
	ciliumSilent
	multusWaits
	multusSilent
	noAttachment
	noHostPort
)

// networkSetup matches how runtimes say that the network plugin failed: containerd, CRI-O and
// dockershim. A sandbox may fail for other reasons, which are none of the network's.
var networkSetup = regexp.MustCompile(`failed to setup network for sandbox|failed to create pod network sandbox|etworkPlugin cni failed to set up pod`)

// sayings are what plugins say, one for each ailment, with the plugin whose words they are.
// A lasting one is not cured by waiting.
var sayings = []struct {
	re      *regexp.Regexp
	ailment ailment
	plugin  string
	lasting bool
}{
	{regexp.MustCompile(`failed to find plugin \\?"([^"\\]+)\\?" in path \[([^\]]*)\]`), noProgram, "", true},
	{regexp.MustCompile(`subnet\.env\b.{0,20}: no such file`), noSubnetEnv, "flannel", false},
	{regexp.MustCompile(`no IP addresses available in (?:range set: (\S+)|network)`), exhausted, "", false},
	{regexp.MustCompile(`failed to assign an IP address to container`), exhausted, "aws-vpc", false},
	{regexp.MustCompile(`\\?"([\w.-]+)\\?" already has an IP address different from ([0-9a-fA-F.:/]+)`), bridgeTaken, "", true},
	{regexp.MustCompile(`stat /var/lib/calico/nodename: no such file`), noNodename, "calico", false},
	{regexp.MustCompile(`127\.0\.0\.1:6784.{0,200}connection refused`), weaveSilent, "weave", false},
	{regexp.MustCompile(`unable to connect to Cilium (?:agent|daemon)`), ciliumSilent, "cilium", false},
	{regexp.MustCompile(`Failed to allocate (?:address|pool): No available address|AllocateIPConfig failed: not enough IPs available`), exhausted, "azure", false},
	{regexp.MustCompile(`still waiting for readinessindicatorfile @ (\S+?)\.? pollimmediate error`), multusWaits, "", false},
	{regexp.MustCompile(`dial unix \S*/multus\.sock: connect: `), multusSilent, "", false},
	{regexp.MustCompile(`cannot find a network-attachment-definition \(([^()]+)\) in namespace \(([^()]+)\)`), noAttachment, "", true},
	{regexp.MustCompile(`plugin type=\\?"portmap\\?"(?: name=\S+)? failed \(add\): (?:` + portmapFails + `)`), noHostPort, "", false},
}

// portmapFails is what portmap says where it cannot write its rules (containernetworking/plugins
// plugins/meta/portmap).
const portmapFails = `failed to open iptables|neither iptables nor ip6tables|unable to create chain|failed to create top-level DNAT chain|` +
	`unable to setup DNAT|unable to set up nftables rules`

// pluginType matches the program that the runtime called; those that it calls in turn stand
// behind it.
var pluginType = regexp.MustCompile(`plugin type=\\?"([^"\\]+)`)

// stuck is a pod that its node gives no network, and what was said of it last.
type stuck struct {
	pod     *facts.Pod
	said    *facts.Event
	ailment ailment
	words   []string // the groups of the saying
	program string   // that the runtime called; empty where the words do not tell
	plugin  string   // id of the plugin that the words or the program belong to; or empty
}

func (p *stuck) quote() checks.Evidence {
	return checks.Quote(p.pod.Ref().String()+", event "+sandboxEvent, p.said.Message)
}

// stuckPods returns the pods that have no network since their node's plugin fails, where that
// is no matter of seconds. It reads Nodes, Pods, Events and DaemonSets, and with Weave Net ConfigMaps.
func stuckPods(s *facts.Snapshot) ([]stuck, network) {
	events := s.EventsOf(sandboxEvent)
	if len(events) == 0 {
		return nil, network{}
	}
	net, gone := look(s), sync.OnceValue(func() peers { return gonePeers(s) })
	var out []stuck
	for i := 0; i < len(events); {
		about, times := events[i].About, int32(0)
		last := events[i]
		for ; i < len(events) && events[i].About == about; i++ {
			last = events[i]
			times += last.Count
		}
		p := s.Pod(about.Namespace, about.Name)
		if p == nil || !waits(s, p, last) {
			continue
		}
		found := heard(net.has, p, last)
		switch {
		case networkSetup.MatchString(last.Message):
		case net.weaveStalls(p, last) && len(gone().names) > 0:
			found.ailment, found.plugin = exhausted, "weave"
		default:
			continue
		}
		if found.lasting || settled(s, p, times) || failing(net.agent(p.Node, found.plugin)) {
			out = append(out, found.stuck)
		}
	}
	return out, net
}

// waits tells whether a pod has no sandbox, and an event is of its latest failure to get one.
// A kubelet reports addresses only while there is a sandbox.
func waits(s *facts.Snapshot, p *facts.Pod, e *facts.Event) bool {
	if p.Ready || p.Deleting || p.Finished() || p.HostNetwork || p.Node == "" || p.JoinedIPs != "" {
		return false
	}
	if n := s.Node(p.Node); n != nil && facts.Windows(n) {
		return false
	}
	return e.Seen >= p.Created && s.Taken.Sub(e.Seen.Time()) < recent
}

// settled tells whether a pod has been failing for so long that it does not pass by itself, as
// it does after the start of a node. That of a pod that ran before is known by the count alone.
func settled(s *facts.Snapshot, p *facts.Pod, times int32) bool {
	fresh := !slices.ContainsFunc(p.Containers, func(c facts.Container) bool {
		return c.Restarts > 0 || c.State.Phase == facts.Terminated || c.Ended != nil
	})
	return times >= enough || fresh && s.Taken.Sub(p.Created.Time()) >= grace
}

// failing tells whether an agent ended with an error and is not Ready since.
func failing(a *facts.Pod) bool {
	return a != nil && !a.Ready && (a.Crashing() != nil ||
		slices.ContainsFunc(a.Containers, func(c facts.Container) bool { return c.Last().Phase == facts.Terminated && c.Last().ExitCode != 0 }))
}

type verdict struct {
	stuck
	lasting bool
}

// heard tells what an event says. What a plugin says that nobody installed, while another one is
// installed, comes of what it left behind.
func heard(has map[string]bool, p *facts.Pod, e *facts.Event) verdict {
	v := verdict{stuck: stuck{pod: p, said: e}}
	for _, saying := range sayings {
		if m := saying.re.FindStringSubmatch(e.Message); m != nil {
			v.ailment, v.words, v.plugin, v.lasting = saying.ailment, m[1:], saying.plugin, saying.lasting
			break
		}
	}
	if m := pluginType.FindStringSubmatch(e.Message); m != nil {
		v.program = m[1]
	} else if v.ailment == noProgram {
		v.program = v.words[0]
	}
	owners := owners(v.program)
	if v.plugin != "" && len(owners) == 0 {
		owners = []string{v.plugin}
	}
	if v.plugin == "" && len(owners) > 0 {
		v.plugin = owners[len(owners)-1] // Canal stands before the two that it is made of
	}
	for _, id := range owners {
		if has[id] {
			v.plugin = id
			return v
		}
	}
	if len(owners) > 0 && len(has) > 0 && v.plugin != "azure" { // which shows in no DaemonSet in its older modes
		v.ailment, v.lasting = residue, true
	}
	return v
}

// reference are the programs of containernetworking/plugins, which many plugins call and
// packages of the runtimes install.
var reference = []string{"bandwidth", "bridge", "dhcp", "dummy", "firewall", "host-device", "host-local", "ipvlan",
	"loopback", "macvlan", "portmap", "ptp", "sbr", "static", "tap", "tuning", "vlan", "vrf"}

// owners returns the ids of the plugins whose own program this is.
func owners(program string) []string {
	if slices.Contains(reference, program) {
		return nil
	}
	var out []string
	for _, p := range plugins.All() {
		if p.Kind == plugins.Primary && slices.Contains(p.Binaries, program) {
			out = append(out, p.ID)
		}
	}
	return out
}

// network is what gives the pods of the cluster their addresses.
type network struct {
	has    map[string]bool         // the ids of the plugins
	agents map[string][]*facts.Pod // their agents, by node
}

// look reads DaemonSets and Pods.
func look(s *facts.Snapshot) network {
	n := network{map[string]bool{}, map[string][]*facts.Pod{}}
	for _, d := range plugins.Detect(s) {
		if d.Plugin.Kind != plugins.Primary {
			continue
		}
		n.has[d.Plugin.ID] = true
		for _, p := range d.Pods {
			if p.Node != "" && !p.Deleting {
				n.agents[p.Node] = append(n.agents[p.Node], p)
			}
		}
	}
	return n
}

// agent returns the agent of a plugin on a node, or nil. Canal's does the work of the two that
// it is made of.
func (n network) agent(node, plugin string) *facts.Pod {
	for _, p := range n.agents[node] {
		id := plugins.Agent(p).ID
		if id == plugin || id == "canal" && (plugin == "flannel" || plugin == "calico") {
			return p
		}
	}
	return nil
}

// byNode gathers the pods of one ailment, in the order in which their nodes first occur.
func byNode(s *facts.Snapshot, why ailment) ([][]stuck, network) {
	all, net := stuckPods(s)
	return ofNodes(all, why), net
}

func ofNodes(all []stuck, why ailment) [][]stuck {
	var out [][]stuck
	at := map[string]int{}
	for _, p := range all {
		if p.ailment != why {
			continue
		}
		i, known := at[p.pod.Node]
		if !known {
			i = len(out)
			at[p.pod.Node] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], p)
	}
	return out
}

// onNode makes the finding about a node whose pods are stuck for one reason.
func onNode(pods []stuck, message, remedy string) checks.Finding {
	f := checks.Finding{Subject: facts.NodeRef(pods[0].pod.Node), Message: message, Remedy: remedy}
	for i := range pods[:min(len(pods), shown)] {
		f.Evidence = append(f.Evidence, pods[i].quote())
	}
	if n := len(pods); n > shown {
		f.Evidence = append(f.Evidence, checks.Quote("Events "+sandboxEvent, fmt.Sprintf("the same of %d more pods on this node", n-shown)))
	}
	return f
}

// withAgent adds what is known of the plugin's agent on the node: where it is not Ready, the same
// fault shows in it.
func withAgent(net network, f *checks.Finding, plugin string) *facts.Pod {
	name := plugins.Named(plugin).Name
	a := net.agent(f.Subject.Name, plugin)
	switch {
	case a == nil:
		f.Evidence = append(f.Evidence, checks.Quote("Pods on Node "+f.Subject.Name, "no agent of "+name))
	case a.Ready:
		f.Evidence = append(f.Evidence, checks.Quote(a.Ref().String(), "the agent of "+name+" is Ready"))
	default:
		f.Evidence = append(f.Evidence, checks.Quote(a.Ref().String(), "the agent of "+name+" is not Ready: "+a.Trouble()))
		f.Places = append(f.Places, a.Ref())
	}
	return a
}
