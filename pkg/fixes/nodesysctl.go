package fixes

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// NodeSysctl sets what of a node's kernel pods need.
var NodeSysctl = &Fix{
	ID:      "node-sysctl",
	Title:   "Set the kernel setting, now and for the next start",
	For:     []*checks.Check{node.IPForward, cni.BrNetfilter},
	Risk:    Harmless,
	OnNodes: true,
	Plan:    planNodeSysctl,
	Doc: `Writes 1 into net.ipv4.ip_forward, net.ipv6.conf.all.forwarding, net.bridge.bridge-nf-call-iptables or
net.bridge.bridge-nf-call-ip6tables of a node where the finding names it as 0, and a file /etc/sysctl.d/99-zz-netdoctor-*.conf that
sets it again when the node starts. Writing ip_forward sets the same of every interface (Linux, ip-sysctl), which undo does as well.

It is refused where a setting is not there: the kernel module br_netfilter must be loaded first, which a pod does not do. What
set it to 0 (a hardening script, a tuned profile) may do so again; the finding names the file where one was found.`,
}

func planNodeSysctl(s *facts.Snapshot, f checks.Finding, params Params) (Plan, error) {
	v := host.Of(s, f.Subject.Name)
	if f.Subject.Kind != "Node" || !v.Known() {
		return Plan{}, errors.New("what the node's kernel says is not known: it takes --depth host")
	}
	var plan Plan
	for _, file := range quotedFiles(f) {
		now := facts.Setting{Node: v.Node(), Path: file}
		if !now.Valid() || v.Word(file) != "0" {
			continue
		}
		lasting := facts.Setting{Node: v.Node(), Path: "/etc/sysctl.d/99-zz-netdoctor-" + path.Base(path.Dir(file)) + "-" + path.Base(file) + ".conf"}
		if text, found := v.Read(lasting.Path); found {
			lasting.Value = &text
		} else if !v.Absent(lasting.Path) {
			return Plan{}, fmt.Errorf("what is in /etc/sysctl.d of Node %s is not known: %s", v.Node(), v.Unknown(lasting.Path))
		}
		if !lasting.Valid() {
			return Plan{}, fmt.Errorf("%s of Node %s says more than a repair writes there: change it by hand", lasting.Path, v.Node())
		}
		off, on := "0", "1"
		line := strings.ReplaceAll(strings.TrimPrefix(file, "/proc/sys/"), "/", ".") + " = 1\n"
		plan.Changes = append(plan.Changes, settingChange(now.With(&off), &on))
		if !facts.Same(lasting.Value, &line) {
			plan.Changes = append(plan.Changes, settingChange(lasting, &line))
		}
	}
	if len(plan.Changes) == 0 {
		return Plan{}, errors.New("none of the settings that the finding names is there and 0; where the module br_netfilter is missing: modprobe br_netfilter on the node, and a file in /etc/modules-load.d")
	}
	return plan, nil
}

// quotedFiles returns the files of its node that a finding quotes.
func quotedFiles(f checks.Finding) []string {
	var out []string
	for _, e := range f.Evidence {
		if file, found := strings.CutPrefix(e.From, "Node "+f.Subject.Name+", "); found {
			out = append(out, file)
		}
	}
	return out
}
