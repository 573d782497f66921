package agent

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/redact"
)

// resolverLines leaves what resolv.conf(5) knows, and comments: the name of the file comes
// from flags and configurations, and may be that of any file.
func resolverLines(text string) (string, error) {
	return only(text, func(line string) bool {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		word, _, _ = strings.Cut(word, "\t")
		return strings.HasPrefix(word, "#") || strings.HasPrefix(word, ";") ||
			slices.Contains([]string{"nameserver", "search", "domain", "options", "sortlist", ""}, word)
	}), nil
}

func only(text string, wanted func(line string) bool) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if wanted(line) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// cniConf keeps a CNI configuration as it is, a broken one too, without its secrets.
func cniConf(text string) (string, error) {
	return redact.JSON(text), nil
}

// plain is the filter of most files.
func plain(text string) (string, error) { return redact.Text(text), nil }

// dockerSettings keeps of daemon.json what is about the network and the cgroup driver.
func dockerSettings(text string) (string, error) {
	return settings(text, "bip", "bridge", "cgroup-parent", "default-address-pools", "dns", "dns-search", "exec-opts", "firewall-backend",
		"fixed-cidr", "fixed-cidr-v6", "ip-forward", "ip-forward-no-drop", "ip-masq", "ip6tables", "iptables", "ipv6", "live-restore", "mtu",
		"userland-proxy")
}

// kubeletSettings keeps of a KubeletConfiguration, whose headers may hold tokens, what is
// about the network.
func kubeletSettings(text string) (string, error) {
	return settings(text, "address", "allowedUnsafeSysctls", "apiVersion", "cgroupDriver", "clusterDNS", "clusterDomain", "containerRuntimeEndpoint",
		"hairpinMode", "healthzBindAddress", "healthzPort", "kind", "makeIPTablesUtilChains", "maxPods", "podCIDR", "port", "protectKernelDefaults",
		"readOnlyPort", "resolvConf", "staticPodPath")
}

func settings(text string, names ...string) (string, error) {
	all := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &all); err != nil {
		return "", errors.New("cannot be parsed, so nothing is known to be no secret in it")
	}
	maps.DeleteFunc(all, func(name string, _ any) bool { return !slices.Contains(names, name) })
	kept, err := yaml.Marshal(all)
	return string(kept), err
}

var netModule = regexp.MustCompile(`^(br_netfilter|bridge|overlay|vxlan|geneve|wireguard|ipip|ip_tunnel|ip6?_tables|ip_set.*|ip_vs.*|ip6?table_.*|nf_.*|nft_.*|nfnetlink.*|xt_.*)$`)

// moduleNames keeps the first word of the lines about modules of the network.
func moduleNames(text string) (string, error) {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); netModule.MatchString(name) {
			out.WriteString(name + "\n")
		}
	}
	return out.String(), nil
}

// conntrackDrops keeps the columns about what was dropped, and adds up the processors'
// lines: the form stays that of the kernel, hexadecimal, with one line.
func conntrackDrops(text string) (string, error) {
	var head, sums []string
	names := strings.Fields(text[:strings.IndexByte(text+"\n", '\n')])
	for i, name := range names {
		if !slices.Contains([]string{"drop", "early_drop", "insert_failed", "search_restart"}, name) {
			continue
		}
		var sum uint64
		for line := range strings.Lines(text[strings.IndexByte(text+"\n", '\n'):]) {
			columns := strings.Fields(line)
			if i >= len(columns) {
				continue
			}
			n, err := strconv.ParseUint(columns[i], 16, 32)
			if err != nil {
				return "", fmt.Errorf("%.20q is no number", columns[i])
			}
			sum += n
		}
		head, sums = append(head, name), append(sums, fmt.Sprintf("%08x", sum))
	}
	if head == nil {
		return "", errors.New("has no column about drops")
	}
	return strings.Join(head, " ") + "\n" + strings.Join(sums, " ") + "\n", nil
}

// snmpLines keeps names and numbers of IP, TCP and UDP over IPv4.
func snmpLines(text string) (string, error) {
	return only(text, func(line string) bool {
		return strings.HasPrefix(line, "Ip: ") || strings.HasPrefix(line, "Tcp: ") || strings.HasPrefix(line, "Udp: ")
	}), nil
}

var kernelWord = regexp.MustCompile(`nf_conntrack|neighbou?r|martian|NETDEV WATCHDOG|link is not ready|IPv4: host|invoked oom-killer|oom-kill:|[Oo]ut of memory|br_netfilter|ip6?_?tables|x_tables|vxlan|request_sock`)

const (
	mostKernelLines = 200
	mostKernelLine  = 512 // bytes
)

// kernelLines keeps the last lines of the kernel's messages that are about the network,
// without their levels.
func kernelLines(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if level, rest, found := strings.Cut(line, ">"); found && strings.HasPrefix(level, "<") && len(level) < 6 {
			line = rest
		}
		if kernelWord.MatchString(line) {
			out = append(out, printable(line[:min(len(line), mostKernelLine)]))
		}
	}
	out = out[max(0, len(out)-mostKernelLines):]
	if len(out) == 0 {
		return ""
	}
	return strings.Join(out, "\n") + "\n"
}

// printable takes out what would be no text or would end a line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(text, "?"))
}
