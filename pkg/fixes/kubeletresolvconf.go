package fixes

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubelet"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// kubeletUnit is what kubeadm's packages call the kubelet's unit.
const kubeletUnit = "kubelet.service"

// KubeletResolvConf makes kubelets give pods a resolv.conf with real servers.
var KubeletResolvConf = &Fix{
	ID:      "kubelet-resolvconf",
	Title:   "Give pods the node's real DNS servers: resolvConf of the kubelet",
	For:     []*checks.Check{coredns.Loop, kubelet.ResolvConfLoopback},
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

func planKubeletResolvConf(s *facts.Snapshot, f checks.Finding, params Params) (Plan, error) {
	if s.Depth < facts.Host {
		return Plan{}, errors.New("what the nodes' files say is not known: it takes --depth host")
	}
	found := kubelet.ResolvConfLoopback.Run(s)
	if f.Check == kubelet.ResolvConfLoopback {
		found = slices.DeleteFunc(found, func(r checks.Finding) bool { return r.Subject != f.Subject })
	} else if !slices.ContainsFunc(found, func(r checks.Finding) bool { return samePods(s, r, f) }) {
		return Plan{}, errors.New("no kubelet is known to hand the pods that loop a loopback address: the loop has another cause")
	}
	var plan Plan
	for _, r := range found {
		change, err := resolvConfChange(s, r.Subject.Name, params)
		if err != nil {
			return Plan{}, err
		}
		plan.Changes = append(plan.Changes, change)
		plan.Restarts = append(plan.Restarts, dnsPodsOn(s, r.Subject.Name)...)
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

// samePods tells whether two findings show in the same pod.
func samePods(s *facts.Snapshot, a, b checks.Finding) bool {
	return slices.ContainsFunc(podsOf(s, a), func(p *facts.Pod) bool { return slices.Contains(podsOf(s, b), p) })
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
		return Change{}, fmt.Errorf("node %s: %w", node, err)
	}
	file, err := realServers(s, v)
	if err != nil {
		return Change{}, fmt.Errorf("node %s: %w", node, err)
	}
	value, read := params.Settings[setting.Key()]
	switch {
	case !read:
		return Change{}, &UnreadError{setting}
	case value != nil && *value == file:
		return Change{}, fmt.Errorf("node %s: %s says resolvConf: %s already, but its kubelet runs with another one: restart it (systemctl restart kubelet)", node, setting.Path, file)
	}
	return settingChange(setting.With(value), &file), nil
}

// realServers returns the file of a node in which the resolver there keeps the servers that
// it asks.
func realServers(s *facts.Snapshot, v host.View) (string, error) {
	unknown, unfit := "", ""
	for _, file := range realResolvers() {
		text, found := v.Read(file)
		if own := leadsBack(s, text); own != "" {
			unfit = cmp.Or(unfit, fmt.Sprintf("%s names %s", file, own))
		} else if found && len(nameservers(s, text)) > 0 {
			return file, nil
		}
		unknown = cmp.Or(unknown, v.Unknown(file))
	}
	looked := strings.Join(realResolvers(), ", ")
	switch {
	case unknown != "":
		return "", fmt.Errorf("whether it has a file with real DNS servers (%s) is not known: %s", looked, unknown)
	case unfit != "":
		return "", fmt.Errorf("%s, and no other file has real DNS servers (%s were looked for); write one, and set resolvConf of its kubelet to it by hand", unfit, looked)
	}
	return "", fmt.Errorf("it has no file with real DNS servers (%s were looked for); write one, and set resolvConf of its kubelet to it by hand", looked)
}

// leadsBack returns the server of a resolv.conf that leads the questions of CoreDNS back to
// itself, or "".
func leadsBack(s *facts.Snapshot, text string) string {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		addr, err := netip.ParseAddr(words[1])
		if err != nil {
			continue
		}
		if addr = addr.Unmap(); addr.IsLoopback() {
			return addr.String() + ", a loopback address"
		}
		if whose := ownAddress(s, addr); whose != "" {
			return addr.String() + ", " + whose
		}
	}
	return ""
}

// resolvConfSetting finds where a node's kubelet takes resolvConf from.
func resolvConfSetting(v host.View) (facts.Setting, error) {
	config := ""
	for _, flag := range v.KubeletRuns() {
		switch flag.Name {
		case "--resolv-conf":
			return facts.Setting{}, errors.New("the kubelet is started with --resolv-conf, which wins over its configuration: change it there, by hand")
		case "--config-dir":
			dir := path.Clean(flag.Value)
			if why := v.Unknown(dir + "/*.conf"); why != "" {
				return facts.Setting{}, fmt.Errorf("whether a file of %s sets resolvConf, which would win over the kubelet's configuration, is not known: %s", dir, why)
			}
			for _, file := range v.Under(dir) {
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
