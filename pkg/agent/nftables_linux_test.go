package agent

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/mdlayher/netlink/nltest"
	"golang.org/x/sys/unix"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// kernel answers requests about rules, of which there are none: changes is how often their
// state changes.
func kernel(changes int, fail unix.Errno) (nftConn, *int) {
	asked, state := 0, byte(1)
	return nftConn{nltest.Dial(func(requests []netlink.Message) ([]netlink.Message, error) {
		if len(requests) == 0 {
			return nil, nil
		}
		request := requests[0]
		if kind := int(request.Header.Type) & 0xff; kind != unix.NFT_MSG_GETGEN {
			if kind == unix.NFT_MSG_GETTABLE {
				asked++
				if changes > 0 {
					changes--
					state++
				}
			}
			return nltest.Multipart([]netlink.Message{{Header: netlink.Header{Type: netlink.Done, Sequence: request.Header.Sequence, PID: request.Header.PID}}, {}})
		}
		if fail != 0 {
			return nltest.Error(int(fail), requests)
		}
		data, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: 1, Data: []byte{0, 0, 0, state}}})
		return []netlink.Message{{
			Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWGEN), Sequence: request.Header.Sequence, PID: request.Header.PID},
			Data:   append([]byte{0, 0, 0, 0}, data...),
		}}, err
	})}, &asked
}

// TestRulesThatChange reads rules again that changed meanwhile, and gives up if they always do.
func TestRulesThatChange(t *testing.T) {
	for _, tt := range []struct {
		name           string
		changes, asked int
		fail           unix.Errno
		want           error
	}{
		{"still", 0, 1, 0, nil},
		{"twice", 2, 3, 0, nil},
		{"always", 1000, nftTries, 0, errChanged},
		{"not known", 0, 0, unix.EINVAL, nil},
		{"not allowed", 0, 0, unix.EPERM, unix.EPERM},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, asked := kernel(tt.changes, tt.fail)
			defer c.conn.Close()
			rules, err := nftConns{c}.readWhole(nil)
			if !errors.Is(err, tt.want) || *asked != tt.asked {
				t.Errorf("asked %d times, got %v; want %d times, %v", *asked, err, tt.asked, tt.want)
			}
			if (rules != nil) != (tt.fail == 0 && tt.want == nil) {
				t.Errorf("got rules: %v", rules != nil)
			}
		})
	}
}

// TestModules asks nf_tables only where it is at work.
func TestModules(t *testing.T) {
	for _, tt := range []struct {
		name, modules, symbols string
		want                   bool
		err                    string
	}{
		{"nothing can be loaded", "", "", true, ""},
		{"loaded", "ip_tables 32768 0 - Live 0x0\nnf_tables 344064 0 - Live 0x0\n", "", true, ""},
		{"built in", "overlay 1 0 - Live 0x0\n", "0000000000000000 T nft_do_chain\n", true, ""},
		{"not there", "nf_tables_of_another_kind 1 0 - Live 0x0\n", "0000000000000000 T do_chain\n0000000000000000 T nft_do_chain_inet\n", false, ""},
		{"cannot be told", "overlay 1 0 - Live 0x0\n", "", false, "/proc/kallsyms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proc := t.TempDir()
			for name, text := range map[string]string{"modules": tt.modules, "kallsyms": tt.symbols} {
				if text != "" {
					if err := os.WriteFile(filepath.Join(proc, name), []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			got, err := haveNFTables(filepath.Join(proc, "net"))
			if got != tt.want || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, %v, want %v, %q", got, err, tt.want, tt.err)
			}
		})
	}
}

// TestCapabilities reads with CAP_NET_ADMIN alone, and says what lacks without it.
func TestCapabilities(t *testing.T) {
	for _, tt := range []struct {
		name  string
		has   uint32
		files []string
	}{
		{"CAP_NET_ADMIN", 1 << unix.CAP_NET_ADMIN, []string{"/ip6tables-legacy-save", "/iptables-legacy-save", "/iptables-save", "/nft-chains", host.ServiceRules}},
		{"none", 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inNamespace(t, "iptables-nft-restore", "iptables-legacy-restore", "ip6tables-legacy-restore")
			run(t, testdata(t, "kube-iptables4.save"), "iptables-nft-restore")
			run(t, testdata(t, "kube-iptables4.save"), "iptables-legacy-restore")
			run(t, testdata(t, "options6.save"), "ip6tables-legacy-restore")
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			data := [2]unix.CapUserData{{Effective: tt.has, Permitted: tt.has}}
			if err := unix.Capset(&header, &data[0]); err != nil {
				t.Fatal(err)
			}
			files, gaps := netfilterFiles(ownNet)
			if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, tt.files) {
				t.Errorf("got files %v, want %v", got, tt.files)
			}
			want := []string{"/ip6tables-legacy-save", "/ip6tables-save", "/iptables-legacy-save", "/iptables-save", "/nft-chains", "/nft-rules", host.ServiceRules}
			if tt.files != nil {
				want = nil
			}
			if got := slices.Sorted(maps.Keys(gaps)); !slices.Equal(got, want) {
				t.Errorf("got gaps %v, want %v", got, want)
			}
			for name, why := range gaps {
				if !strings.Contains(why, "operation not permitted") {
					t.Errorf("%s: %s", name, why)
				}
			}
		})
	}
}

// TestVirtualServers reads virtual servers of ipvs only where kube-proxy's interface is.
func TestVirtualServers(t *testing.T) {
	inNamespace(t, "ip")
	net := filepath.Join(t.TempDir(), "net")
	if err := os.Mkdir(net, 0o755); err != nil {
		t.Fatal(err)
	}
	const table = "TCP  0A600001:01BB rr\n  -> 0A4D000A:192B      Masq    1      3          0\nTCP  0A4D000B:7580 rr\n"
	if err := os.WriteFile(filepath.Join(net, "ip_vs"), []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	if files, gaps := netfilterFiles(net); files[host.ServiceRules] != "" || len(gaps) > 0 {
		t.Errorf("without kube-ipvs0: got %v, %v", files, gaps)
	}
	run(t, "", "ip", "link", "add", "kube-ipvs0", "type", "bridge") // in clusters of type dummy
	run(t, "", "ip", "addr", "add", "10.96.0.1/32", "dev", "kube-ipvs0")
	files, gaps := netfilterFiles(net)
	const want = "ipvs tcp 10.96.0.1:443 cluster 10.77.0.10:6443\nipvs tcp nodeport:30080 nodeport\n"
	if got := files[host.ServiceRules]; got != want || len(gaps) > 0 {
		t.Errorf("got %v, %q, want %q", gaps, got, want)
	}
}
