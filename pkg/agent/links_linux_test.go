package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inNetwork puts the test's thread into a network namespace of its own, in which the
// commands that sh is given have been run. The thread ends with the test.
func inNetwork(t *testing.T, commands string) {
	t.Helper()
	inNamespace(t, "ip", "bridge")
	if out, err := exec.Command("sh", "-ec", commands).CombinedOutput(); err != nil {
		t.Fatalf("making a network: %v: %s", err, out)
	}
}

const aNetwork = `
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up
ip link add uplink type veth peer name wire
ip addr add 10.9.0.2/24 dev uplink
ip addr add 10.9.7.1 peer 10.9.7.8/29 dev uplink
ip addr add fd00:9::2/64 dev uplink nodad
ip link set wire up
ip link set uplink mtu 1480 up
ip link add plum.1 type vxlan id 7 dev uplink local 10.9.0.2 dstport 8472 nolearning
ip link add fig.2 type vxlan id 9 group 239.1.1.1 dev uplink dstport 4789
ip link add six.3 type vxlan id 11 remote fd00:9::8 dev uplink dstport 4790
ip link add cni7 type bridge
ip netns add $NS
ip link add podside type veth peer name eth0 netns $NS
ip link set podside master cni7
ip addr add 10.244.1.1/24 dev cni7
for l in plum.1 cni7 podside; do ip link set $l up; done
ip -n $NS link set eth0 up
ip link add lonely type veth peer name other
ip link set lonely up
ip route add default via 10.9.0.1 metric 100
ip route add 10.244.2.0/24 via 10.244.2.0 dev plum.1 onlink
ip route add blackhole 10.77.0.0/16 proto 80
ip route add unreachable 10.78.0.9 proto bird
ip route add 10.79.0.0/16 nexthop via 10.9.0.3 weight 2 nexthop via 10.9.0.4
ip route add 10.80.0.0/16 via inet6 fe80::1 dev uplink
ip route add 10.81.0.0/16 dev uplink scope link src 10.9.0.2 table 2004
ip -6 route add fd00:8::/48 via fd00:9::1 proto static pref high
ip -6 route add default via fd00:9::1 pref low
ip -6 route add fd00:88::/48 dev uplink pref low table 2004
ip -6 route add fd00:99::/48 nexthop via fd00:9::3 nexthop via fd00:9::4
ip link set cni7 type bridge nf_call_iptables 1
ip link add ext.4 type vxlan external dstport 4791
ip rule add fwmark 0x200/0xf00 lookup 2004 prio 100
ip rule add from 10.3.0.0/16 to 10.4.0.7 iif uplink lookup 99 prio 101
ip rule add not from all fwmark 0x5 lookup main suppress_prefixlength 0 prio 102
ip rule add oif wire goto 32766 prio 103
ip -6 rule add not to fd00:7::/64 lookup 77
ip neigh add 10.244.2.0 lladdr aa:bb:cc:dd:ee:01 dev plum.1 nud permanent
ip neigh add 10.9.0.4 lladdr aa:bb:cc:dd:ee:02 dev uplink nud permanent
ip neigh add fd00:9::5 lladdr aa:bb:cc:dd:ee:03 dev uplink nud permanent
bridge fdb add aa:bb:cc:dd:ee:01 dev plum.1 dst 10.9.0.3
bridge fdb append 00:00:00:00:00:00 dev fig.2 dst 10.9.0.8
bridge fdb add aa:bb:cc:dd:ee:09 dev podside master static
`

// asIP are the fields in which linkFiles writes the same as the commands do.
var asIP = []struct {
	file, command string
	fields        []string
}{
	{addrFile, "ip -json -details -statistics addr", []string{"ifindex", "link", "link_index", "ifname", "flags", "mtu", "master", "operstate", "link_type", "address",
		"link_netnsid", "linkinfo.info_kind", "linkinfo.info_data.id", "linkinfo.info_data.port", "linkinfo.info_data.local", "linkinfo.info_data.local6",
		"linkinfo.info_data.link", "linkinfo.info_data.remote", "linkinfo.info_data.remote6", "linkinfo.info_data.group", "linkinfo.info_data.learning", "linkinfo.info_data.nf_call_iptables",
		"linkinfo.info_data.nf_call_ip6tables", "linkinfo.info_data.nf_call_arptables", "linkinfo.info_data.external",
		"stats64.rx.packets", "stats64.rx.errors", "stats64.rx.dropped", "stats64.rx.over_errors", "stats64.tx.packets", "stats64.tx.errors", "stats64.tx.dropped",
		"addr_info.family", "addr_info.local", "addr_info.address", "addr_info.prefixlen", "addr_info.scope", "addr_info.deprecated", "addr_info.tentative", "addr_info.dadfailed"}},
	{routeFile, "ip -json -details route show table all; ip -6 -json -details route show table all", []string{"type", "dst", "gateway", "via.family", "via.host", "dev",
		"table", "protocol", "scope", "prefsrc", "metric", "pref", "flags", "nexthops.gateway", "nexthops.via.host", "nexthops.dev", "nexthops.weight", "nexthops.flags"}},
	{ruleFile, "ip -json -details rule; ip -6 -json -details rule", []string{"priority", "not", "src", "srclen", "dst", "dstlen", "fwmark", "fwmask", "iif", "oif", "table",
		"suppress_prefixlen", "goto"}},
	{neighFile, "ip -json -details neigh", []string{"dst", "dev", "lladdr", "state"}},
	{fdbFile, "bridge -json -details fdb", []string{"mac", "ifname", "dst", "vlan", "flags", "master", "state"}},
}

func TestLinkFilesAsIP(t *testing.T) {
	name := fmt.Sprintf("nd-look-%d", os.Getpid())
	inNetwork(t, strings.ReplaceAll(aNetwork, "$NS", name))
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	for _, as := range asIP {
		t.Logf("comparing %s", as.file)
		ours, theirs := settled(t, as.file, as.command)
		if as.file == routeFile {
			theirs = unique(theirs) // "show table all" is of IPv4 here and of both there
		}
		for _, list := range [][]any{ours, theirs} {
			for i, entry := range list {
				list[i] = fieldsOf(entry, as.fields)
			}
		}
		if as.file == fdbFile {
			theirs = withoutNoise(theirs)
		}
		missing, extra := lacking(theirs, ours), lacking(ours, theirs)
		if len(ours) != len(theirs) || missing != nil || extra != nil {
			t.Errorf("%s: %d entries, and %d of %q\nmissing:\n%s\nextra:\n%s", as.file, len(ours), len(theirs), as.command, entries(missing), entries(extra))
		}
	}
}

// settled reads what linkFiles and a command say when nothing changes between.
func settled(t *testing.T, file, command string) (ours, theirs []any) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		before := ipJSON(t, command)
		files, gaps := linkFiles()
		if len(gaps) > 0 {
			t.Fatal(gaps)
		}
		if after := ipJSON(t, command); reflect.DeepEqual(before, after) || time.Now().After(deadline) {
			if err := json.Unmarshal([]byte(files[file]), &ours); err != nil {
				t.Fatalf("%s: %v: %s", file, err, files[file])
			}
			return ours, after
		}
	}
}

func ipJSON(t *testing.T, commands string) (out []any) {
	t.Helper()
	for command := range strings.SplitSeq(commands, ";") {
		words := strings.Fields(command)
		text, err := exec.Command(words[0], words[1:]...).Output()
		var list []any
		if err == nil {
			err = json.Unmarshal(text, &list)
		}
		if err != nil {
			t.Fatalf("%s: %v: %s", command, err, text)
		}
		out = append(out, list...)
	}
	return out
}

// fieldsOf leaves of an entry the fields with these paths, and of a list those of each
// element. What iproute2 writes where there is nothing is left out too.
func fieldsOf(entry any, fields []string) map[string]any {
	out := map[string]any{}
	for _, field := range fields {
		value, found := at(entry, strings.Split(field, "."))
		nothing := field == "address" && value == "00:00:00:00:00:00" || field == "metric" && value == float64(0)
		if found && !nothing {
			out[field] = value
		}
	}
	return out
}

func at(entry any, path []string) (any, bool) {
	if len(path) == 0 {
		return entry, true
	}
	switch e := entry.(type) {
	case map[string]any:
		value, found := e[path[0]]
		if !found {
			return nil, false
		}
		return at(value, path[1:])
	case []any:
		var out []any
		for _, element := range e {
			value, _ := at(element, path)
			out = append(out, value)
		}
		return out, len(out) > 0
	}
	return nil, false
}

func withoutNoise(list []any) (out []any) {
	for _, entry := range list {
		mac := entry.(map[string]any)["mac"].(string)
		if !strings.HasPrefix(mac, "33:33:") && !strings.HasPrefix(mac, "01:00:5e:") {
			out = append(out, entry)
		}
	}
	return out
}

func unique(list []any) (out []any) {
	for _, entry := range list {
		if lacking([]any{entry}, out) != nil {
			out = append(out, entry)
		}
	}
	return out
}

// lacking returns what is in one list and not in the other.
func lacking(list, other []any) (out []any) {
	for _, entry := range list {
		found := false
		for _, o := range other {
			found = found || reflect.DeepEqual(entry, o)
		}
		if !found {
			out = append(out, entry)
		}
	}
	return out
}

func entries(list []any) string {
	var out strings.Builder
	for _, entry := range list {
		data, _ := json.Marshal(entry)
		out.WriteString(string(data) + "\n")
	}
	return out.String()
}

// A node may have more than anybody wants to read.
func TestLinkFilesBounds(t *testing.T) {
	inNetwork(t, `
ip link set lo up
ip link add plum type veth peer name fig
ip link set plum up
ip link set fig up
`)
	var batch strings.Builder
	for i := range mostNeighs + 10 {
		fmt.Fprintf(&batch, "neigh add 10.%d.%d.%d lladdr aa:bb:cc:dd:ee:01 dev plum nud permanent\n", 9+i>>16, i>>8&255, i&255)
	}
	for i := range mostRoutes + 10 {
		fmt.Fprintf(&batch, "route add 11.%d.%d.0/24 dev plum\n", i>>8, i&255)
	}
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader(batch.String())
	if out, err := ip.CombinedOutput(); err != nil {
		t.Fatalf("%v: %.300s", err, out)
	}
	files, gaps := linkFiles()
	for file, most := range map[string]int{neighFile: mostNeighs, routeFile: mostRoutes} {
		var list []any
		if err := json.Unmarshal([]byte(files[file]), &list); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("of more than %d entries, %d are kept", most, most); gaps[file] != want || len(list) < most || len(list) > most+50 {
			t.Errorf("%s: %d entries, gap %q, want %q", file, len(list), gaps[file], want)
		}
	}
	if gaps[addrFile] != "" || !strings.Contains(files[addrFile], `"ifname":"plum"`) {
		t.Errorf("interfaces: %q, %s", gaps[addrFile], files[addrFile])
	}
}

func TestDump(t *testing.T) {
	n := 0
	got, err := dump(func() ([]int, error) {
		if n++; n < 3 {
			return []int{n}, netlink.ErrDumpInterrupted
		}
		return []int{n}, nil
	})
	if err != nil || len(got) != 1 || got[0] != 3 {
		t.Errorf("the third time is whole: %v, %v", got, err)
	}
	if got, err := dump(func() ([]int, error) { return []int{1}, netlink.ErrDumpInterrupted }); err == nil || len(got) != 1 {
		t.Errorf("never whole: %v, %v", got, err)
	}
	if _, err := dump(func() ([]int, error) { return nil, unix.EPERM }); !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
}

// Of thousands of interfaces those of pods are left out first.
func TestAddrJSONKeepsTheNode(t *testing.T) {
	var links []kernelLink
	for i := range mostLinks + 10 {
		links = append(links, kernelLink{Link: &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: 1000 + i, Name: fmt.Sprintf("veth%d", i), NetNsID: -1}}})
	}
	links = append(links, kernelLink{Link: &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 9999, Name: "plum0", NetNsID: -1}}})
	text, err := addrJSON(links, nil)
	if n := strings.Count(text, `"ifname"`); err == nil || n != mostLinks || !strings.Contains(text, `"plum0"`) || strings.Contains(text, `"veth2009"`) {
		t.Errorf("%d interfaces, %v", n, err)
	}
}

func TestHardware(t *testing.T) {
	for _, tc := range []struct{ address, encap, want string }{
		{"\x0a\x09\x00\x02", "ipip", "10.9.0.2"}, {"\x0a\x09\x00\x02", "gre", "10.9.0.2"}, {"", "none", ""},
		{"\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02", "unknown823", "fd00::2"},
		{"\xaa\xbb\xcc\xdd\xee\x01", "ether", "aa:bb:cc:dd:ee:01"},
	} {
		if got := hardware([]byte(tc.address), tc.encap); got != tc.want {
			t.Errorf("%x of %s: got %q, want %q", tc.address, tc.encap, got, tc.want)
		}
	}
}
