package node

import (
	"path"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// NMUnmanaged finds nodes whose NetworkManager may touch the network plugin's interfaces.
var NMUnmanaged = &checks.Check{
	ID:       "nm-unmanaged",
	Title:    "NetworkManager leaves the network plugin's interfaces alone",
	Severity: checks.Info,
	URL:      "https://docs.tigera.io/calico/latest/operations/troubleshoot/troubleshooting#configure-networkmanager",
	Needs:    []*facts.Source{facts.Files, facts.Nodes},
	Parts:    nmParts,
	ByHand:   []string{"nmcli device # on the node: STATE of cali*, tunl0, flannel.1, cni0", "grep -r unmanaged-devices /etc/NetworkManager /run/NetworkManager # on the node"},
	Run:      findNMUnmanaged,
	Doc: `NetworkManager looks after every interface that it is not told to leave alone. It may give those of Calico and Flannel routes,
addresses and a state of its own, or take theirs when a cable or the service goes down and up again. Then the agents' routes are
gone now and then, and pods lose their connections; Calico's and RKE2's makers ask for an exception for that reason. Many clusters
run for years without one: this is information, to be had in mind when routes vanish.

It is looked at on nodes where NetworkManager runs (it keeps files below /run/NetworkManager), and for interfaces that are there: of
Calico, Flannel and what they make for pods. ` + "`unmanaged-devices`" + ` of the section keyfile counts, and sections that match an interface
and say ` + "`managed=0`" + `. Files below /usr/lib are not read.

**How it comes about**: distributions of the family of Red Hat have NetworkManager on every machine, and no installation manual of
the plugin was followed for it.

**Cure**: write the exception into a file of /etc/NetworkManager/conf.d and ` + "`systemctl reload NetworkManager`" + `.`,
}

const (
	nmEtc = "/etc/NetworkManager"
	nmRun = "/run/NetworkManager"
)

func nmParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, n := range s.LinuxNodes() {
		files := []string{nmRun + "/resolv.conf"}
		if v := host.Of(s, n.Name); len(v.Under(nmRun)) > 0 {
			files = []string{nmEtc + "/NetworkManager.conf", nmEtc + "/conf.d/*.conf", nmRun + "/conf.d/*.conf", host.AddrFile}
			out = append(out, garbled(v)...)
		}
		out = append(out, checks.Files(s, n.Name, files...)...)
	}
	return out
}

// ofPlugins are the patterns of interfaces that network plugins make, as their makers' manuals
// give them to NetworkManager.
func ofPlugins() []string {
	return []string{"cali*", "tunl*", "vxlan.calico", "vxlan-v6.calico", "wireguard.cali", "wg-v6.cali", "flannel*", "cni*"}
}

func findNMUnmanaged(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, n := range s.LinuxNodes() {
		v := host.Of(s, n.Name)
		if len(v.Under(nmRun)) == 0 {
			continue
		}
		links, _ := v.Links()
		left := unmanaged(v)
		var managed, patterns []string
		for _, pattern := range ofPlugins() {
			for _, l := range links {
				if fits, _ := path.Match(pattern, l.Name); fits && !left.cover(l) && !slices.Contains(patterns, pattern) {
					managed, patterns = append(managed, l.Name), append(patterns, pattern)
				}
			}
		}
		if len(managed) == 0 {
			continue
		}
		f := checks.Finding{
			Subject:  facts.NodeRef(n.Name),
			Message:  "runs NetworkManager, which is not told to leave the network plugin's interfaces alone",
			Evidence: []checks.Evidence{checks.Quote("Node "+n.Name+", ip link", strings.Join(managed, ", "))},
			Remedy: "Write into a file of /etc/NetworkManager/conf.d of the node: [keyfile], and below it unmanaged-devices=interface-name:" +
				strings.Join(patterns, ";interface-name:") + "; then systemctl reload NetworkManager.",
		}
		f.Evidence = append(f.Evidence, left.quote...)
		out = append(out, f)
	}
	return out
}

// exceptions are what NetworkManager is told to leave alone.
type exceptions struct {
	specs []string // "interface-name:cali*"
	quote []checks.Evidence
}

// unmanaged reads NetworkManager's configuration in the order in which it does: a later file
// replaces unmanaged-devices of an earlier one, unless it adds to them.
func unmanaged(v host.View) exceptions {
	var e exceptions
	var matched []string
	for _, file := range slices.Concat(v.Under(nmRun+"/conf.d"), []string{nmEtc + "/NetworkManager.conf"}, v.Under(nmEtc+"/conf.d")) {
		text, _ := v.Read(file)
		for _, section := range sections(text) {
			if value, found := section["unmanaged-devices"]; found {
				e.specs = specs(value)
				e.quote = append(e.quote, checks.QuoteFile(v.Node(), file, "unmanaged-devices="+value))
			}
			if value, found := section["unmanaged-devices+"]; found {
				e.specs = append(e.specs, specs(value)...)
				e.quote = append(e.quote, checks.QuoteFile(v.Node(), file, "unmanaged-devices+="+value))
			}
			if value := section["managed"]; value == "0" || value == "false" || value == "no" {
				matched = append(matched, specs(section["match-device"])...)
			}
		}
	}
	e.specs = append(e.specs, matched...)
	return e
}

func specs(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ';' || r == ',' })
}

// sections returns the settings of each section of a file, without the sections' names.
func sections(text string) []map[string]string {
	out := []map[string]string{{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			out = append(out, map[string]string{})
		}
		if key, value, found := strings.Cut(line, "="); found && !strings.HasPrefix(line, "#") {
			out[len(out)-1][strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return out
}

// cover tells whether an interface is left alone, or whether it cannot be told.
func (e exceptions) cover(l host.Link) bool {
	return slices.ContainsFunc(e.specs, func(spec string) bool {
		kind, value, found := strings.Cut(strings.TrimSpace(spec), ":")
		switch {
		case spec == "*":
			return true
		case !found || kind == "except" || kind == "mac":
			return false
		case kind == "type" || kind == "driver":
			return value == l.Kind
		case kind != "interface-name":
			return true
		}
		fits, _ := path.Match(strings.TrimPrefix(value, "="), l.Name)
		return fits
	})
}
