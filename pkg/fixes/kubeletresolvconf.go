package fixes

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubelet"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// kubeletUnit is what kubeadm's packages call the kubelet's unit.
const kubeletUnit = "kubelet.service"

// KubeletResolvConf makes kubelets give pods a resolv.conf with real servers.
var KubeletResolvConf = &Fix{
	ID:      "kubelet-resolvconf",
	Title:   "Give pods the node's real DNS servers: resolvConf of the kubelet",
	For:     []*checks.Check{kubelet.ResolvConfLoopback, coredns.Loop},
	Risk:    Restarts,
	OnNodes: true,
	Settle:  loopWindow,
	Plan:    planKubeletResolvConf,
	Doc: `Cures a DNS loop at its root. On each node whose kubelet hands pods a resolv.conf with a loopback address, ` + "`resolvConf`" + ` in the
kubelet's configuration gets the file with the servers that the resolver behind that address asks: systemd-resolved's
/run/systemd/resolve/resolv.conf, or that of NetworkManager. Systemd restarts the kubelet, containers go on meanwhile. Then the
pods of CoreDNS are deleted, because a running pod keeps its resolv.conf.

One node comes after the other. A kubelet that does not stay up, is not Ready again, or does not report the new value gets the old
one back, and the nodes before it, too. The line alone is changed; comments and all other lines stay.

It is refused where the node has no such file, the kubelet is told otherwise by --resolv-conf or by a drop-in of its configuration,
or systemd does not run it. On kubeadm clusters write the same into ConfigMap kube-system/kubelet-config, or the next upgrade
takes it back; where nodes are made from a template, put it there.`,
}

// realServers are the files in which resolvers keep the servers that they ask, by which one is
// preferred (systemd-resolved.service(8), NetworkManager.conf(5)).
var realServers = []string{"/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf", "/run/NetworkManager/resolv.conf"}

func planKubeletResolvConf(s *facts.Snapshot, f checks.Finding, params Params) (Plan, error) {
	if s.Depth < facts.Host {
		return Plan{}, errors.New("what the nodes' files say is not known: it takes --depth host")
	}
	var plan Plan
	for _, r := range kubelet.ResolvConfLoopback.Run(s) {
		if f.Check == kubelet.ResolvConfLoopback && r.Subject != f.Subject {
			continue
		}
		change, err := resolvConfChange(s, r.Subject.Name, params)
		if err != nil {
			return Plan{}, err
		}
		plan.Changes = append(plan.Changes, change)
		plan.Restarts = append(plan.Restarts, dnsPodsOn(s, r.Subject.Name)...)
	}
	if len(plan.Changes) == 0 {
		return Plan{}, errors.New("no kubelet is known to hand out a loopback address: the loop has another cause")
	}
	for _, p := range plan.Restarts {
		if (p.Owner.Kind == "Deployment" || p.Owner.Kind == "DaemonSet") && !slices.Contains(plan.Rollouts, p.Owner) {
			plan.Rollouts = append(plan.Rollouts, p.Owner)
		}
	}
	plan.Warnings = []string{"Other pods with dnsPolicy Default keep the old resolv.conf until they are made anew."}
	plan.Manual = []string{"On kubeadm clusters: write the same resolvConf into ConfigMap kube-system/kubelet-config, or the next upgrade takes it back."}
	return plan, nil
}

func dnsPodsOn(s *facts.Snapshot, node string) []*facts.Pod {
	return slices.DeleteFunc(slices.Clone(s.DNSPods()), func(p *facts.Pod) bool {
		return p.Node != node || p.Owner.Kind == "" || p.Static || p.HostNetwork
	})
}

func resolvConfChange(s *facts.Snapshot, node string, params Params) (Change, error) {
	v := host.Of(s, node)
	setting, err := resolvConfSetting(v)
	if err != nil {
		return Change{}, fmt.Errorf("Node %s: %w", node, err)
	}
	i := slices.IndexFunc(realServers, func(file string) bool { return file != effective(s, node) && namesServers(v, file) })
	if i < 0 {
		return Change{}, fmt.Errorf("Node %s has no file with real DNS servers (%s were looked for); write one, and set resolvConf of its kubelet to it by hand", node, strings.Join(realServers, ", "))
	}
	value, read := params.Settings[setting.Key()]
	if !read {
		return Change{}, &UnreadError{setting}
	}
	return settingChange(setting.With(value), &realServers[i]), nil
}

// effective is the file that a node's kubelet reads.
func effective(s *facts.Snapshot, node string) string {
	if k := s.Configz[node]; k != nil && k.ResolverConfig != nil {
		return *k.ResolverConfig
	}
	return ""
}

// namesServers tells whether a file names servers, and none of them a loopback address.
func namesServers(v host.View, file string) bool {
	text, _ := v.Read(file)
	found := false
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if corefile.Loopback(fields[1]) {
			return false
		}
		found = true
	}
	return found
}

// resolvConfSetting finds where a node's kubelet takes resolvConf from.
func resolvConfSetting(v host.View) (facts.Setting, error) {
	config := ""
	for _, flag := range v.KubeletRuns() {
		switch flag.Name {
		case "--resolv-conf":
			return facts.Setting{}, errors.New("the kubelet is started with --resolv-conf, which wins over its configuration: change it there, by hand")
		case "--config-dir":
			for _, file := range v.Under(path.Clean(flag.Value)) {
				if text, _ := v.Read(file); strings.Contains(text, "resolvConf") {
					return facts.Setting{}, fmt.Errorf("%s sets resolvConf, and wins over the kubelet's configuration: change it there, by hand", file)
				}
			}
		case "--config":
			config = flag.Value
		}
	}
	s := facts.Setting{Node: v.Node(), Path: config, Field: "resolvConf", Unit: kubeletUnit}
	if config == "" || !s.Valid() {
		return facts.Setting{}, errors.New("where its kubelet has its configuration is not known: its arguments name no file of YAML (--config)")
	}
	return s, nil
}
