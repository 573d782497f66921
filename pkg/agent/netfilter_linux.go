package agent

import (
	"bufio"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent/netfilter"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// netfilterTime bounds how long the kernel is asked.
const netfilterTime = 12 * time.Second

// netfilterFiles returns what the netfilter of the current network namespace holds, in the
// files that package host names, and by file why something that is there could not be read.
// A table that is not there is in neither; host.ServiceRules is always in one. procNet is the folder net of a mounted proc. It
// needs CAP_NET_ADMIN, changes nothing and has no module of the kernel loaded.
func netfilterFiles(procNet string) (files, gaps map[string]string) {
	look := netfilterLook{proc: procNet, files: map[string]string{}, gaps: map[string]string{}}
	look.nft()
	look.legacy("iptables-legacy", "/iptables-legacy-save", "ip_tables_names", false)
	look.legacy("iptables-legacy", "/ip6tables-legacy-save", "ip6_tables_names", true)
	look.ipvs()
	look.services()
	return look.files, look.gaps
}

type netfilterLook struct {
	proc        string
	files, gaps map[string]string
	rules       []host.ServiceRule
}

// put notes a text; none is no file.
func (l *netfilterLook) put(name, text string, err error) {
	switch {
	case err != nil:
		l.gaps[name] = err.Error()
	case text != "":
		l.files[name] = text
	}
}

// failed notes that files could not be read, and with them what kube-proxy wrote.
func (l *netfilterLook) failed(err error, names ...string) {
	for _, name := range append(names, host.ServiceRules) {
		l.gaps[name] = err.Error()
	}
}

func (l *netfilterLook) nft() {
	names := []string{"/iptables-save", "/ip6tables-save", "/nft-chains", "/nft-rules"}
	there, err := haveNFTables(l.proc)
	if err != nil {
		l.failed(err, names...)
		return
	}
	if !there {
		return
	}
	rules, err := readNFTables(linkNames(), time.Now().Add(netfilterTime))
	if err != nil {
		l.failed(err, names...)
		return
	}
	if rules == nil {
		return
	}
	text, err := rules.V4.Text()
	l.put(names[0], text, err)
	text, err = rules.V6.Text()
	l.put(names[1], text, err)
	l.put(names[2], rules.Chains(), nil)
	text, err = rules.Rules()
	l.put(names[3], text, err)
	l.rules = append(l.rules, rules.Services()...)
}

// haveNFTables tells whether the kernel has nf_tables at work. Asking nf_tables itself would
// make the kernel load it.
func haveNFTables(proc string) (bool, error) {
	modules, err := os.ReadFile(filepath.Join(proc, "..", "modules"))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // a kernel that can load nothing
	}
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(modules)) {
		if strings.HasPrefix(line, "nf_tables ") {
			return true, nil
		}
	}
	symbols, err := os.Open(filepath.Join(proc, "..", "kallsyms"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, errors.New("whether the kernel has nf_tables cannot be told: there is no /proc/kallsyms")
	}
	if err != nil {
		return false, err
	}
	defer symbols.Close()
	lines := bufio.NewScanner(symbols)
	for lines.Scan() {
		if strings.HasSuffix(lines.Text(), " nft_do_chain") {
			return true, nil
		}
	}
	return false, lines.Err()
}

func linkNames() map[uint32]string {
	names := map[uint32]string{}
	// Without names a rule that asks for an interface by its number has an unknown condition.
	links, _ := net.Interfaces()
	for _, link := range links {
		names[uint32(link.Index)] = link.Name
	}
	return names
}

// legacy reads the tables of the older ip_tables or ip6_tables that are there: asking for
// another would make it.
func (l *netfilterLook) legacy(mode, file, list string, v6 bool) {
	names, err := os.ReadFile(filepath.Join(l.proc, list))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		l.failed(err, file)
		return
	}
	save := netfilter.NewSave(mode)
	for _, table := range strings.Fields(string(names)) {
		if err := readLegacy(save, table, v6); err != nil {
			l.failed(err, file)
			return
		}
	}
	text, err := save.Text()
	l.put(file, text, err)
	l.rules = append(l.rules, save.Services()...)
}

// ipvs reads virtual servers where kube-proxy has its interface for them.
func (l *netfilterLook) ipvs() {
	text, err := os.ReadFile(filepath.Join(l.proc, "ip_vs"))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	link, errLink := net.InterfaceByName("kube-ipvs0")
	if err == nil && errLink != nil {
		return
	}
	virtual := map[netip.Addr]bool{}
	if err == nil {
		var addrs []net.Addr
		addrs, err = link.Addrs()
		for _, a := range addrs {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				virtual[prefix.Addr()] = true
			}
		}
	}
	if err != nil {
		l.failed(err)
		return
	}
	rules, err := netfilter.IPVS(string(text), virtual)
	if err != nil {
		l.failed(err)
		return
	}
	l.rules = append(l.rules, rules...)
}

// services writes what kube-proxy wrote: an empty file where that is nothing, so that rules
// that are gone are not taken for rules that were not looked for. A part of it could only
// mislead.
func (l *netfilterLook) services() {
	if l.gaps[host.ServiceRules] != "" {
		return
	}
	lines := make([]string, len(l.rules))
	for i, rule := range l.rules {
		lines[i] = rule.String() + "\n"
	}
	slices.Sort(lines)
	l.files[host.ServiceRules] = strings.Join(lines, "")
}
