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

func planNodeSysctl(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	v := host.Of(s, f.Subject.Name)
	if f.Subject.Kind != "Node" || !v.Known() {
		return Plan{}, errors.New("what the node's kernel says is not known: it takes --depth host")
	}
	var plan Plan
	missing := ""
	for _, e := range quotes(s, f) {
		file, is := strings.CutPrefix(e.From, "Node "+v.Node()+", ")
		now := facts.Setting{Node: v.Node(), Path: file}
		switch {
		case !is:
		case path.Ext(file) == ".conf":
			plan.Manual = append(plan.Manual, fmt.Sprintf("On node %s, set it to 1 in %s as well (%s): read alone, that file sets it to 0 again.", v.Node(), file, e.Text))
		case !strings.HasPrefix(file, "/proc/") || !now.Valid():
		case v.Word(file) != "0":
			missing = sysctlName(file)
		default:
			changes, err := sysctlChanges(v, now)
			if err != nil {
				return Plan{}, err
			}
			plan.Changes = append(plan.Changes, changes...)
		}
		if on, _ := node.Forwarding(v); file == node.IP4Forward && len(on) > 0 {
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("It switches all interfaces of the node on, and undo all of them off, those as well that forward now: %s.", strings.Join(on, ", ")))
		}
		if file == node.IP6Forward {
			plan.Warnings = append(plan.Warnings, "A kernel that forwards IPv6 takes no router advertisements: where the node has its IPv6 route from those, and the kernel itself takes them, "+
				"set net.ipv6.conf.IF.accept_ra = 2 for that interface first.")
		}
	}
	switch {
	case len(plan.Changes) > 0:
		return plan, nil
	case missing != "":
		return Plan{}, fmt.Errorf("the kernel of Node %s has no %s: load the module (modprobe br_netfilter, and its name in a file of /etc/modules-load.d so that it lasts), which a pod does not do; then look again",
			v.Node(), missing)
	}
	return Plan{}, fmt.Errorf("no setting of Node %s is known to be 0: the finding comes from what an agent said", v.Node())
}

// quotes returns what all findings of a finding's check about its node quote: each family has
// one of its own, and only all of them together are cured.
func quotes(s *facts.Snapshot, f checks.Finding) []checks.Evidence {
	var out []checks.Evidence
	for _, r := range f.Check.Run(s) {
		if r.Subject == f.Subject {
			out = append(out, r.Evidence...)
		}
	}
	return out
}

func sysctlName(file string) string {
	return strings.ReplaceAll(strings.TrimPrefix(file, "/proc/sys/"), "/", ".")
}

// sysctlChanges sets a sysctl that is 0 to 1, now and for the next start.
func sysctlChanges(v host.View, now facts.Setting) ([]Change, error) {
	lasting := facts.Setting{Node: v.Node(), Path: "/etc/sysctl.d/99-zz-netdoctor-" + path.Base(path.Dir(now.Path)) + "-" + path.Base(now.Path) + ".conf"}
	text, found := v.Read(lasting.Path)
	switch why := v.Unknown(lasting.Path); {
	case why != "":
		return nil, fmt.Errorf("what is in /etc/sysctl.d of Node %s is not known: %s", v.Node(), why)
	case found:
		lasting.Value = &text
	}
	if !lasting.Valid() {
		return nil, fmt.Errorf("%s of Node %s says more than a repair writes there: change it by hand", lasting.Path, v.Node())
	}
	off, on, line := "0", "1", sysctlName(now.Path)+" = 1\n"
	out := []Change{settingChange(now.With(&off), &on)}
	if !facts.Same(lasting.Value, &line) {
		out = append(out, settingChange(lasting, &line))
	}
	return out, nil
}
