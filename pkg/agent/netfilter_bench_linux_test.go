package agent

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkNetfilter reads the rules of 10,000 Services with five endpoints each, in every
// mode of kube-proxy's, and says how much processor time and memory that takes beside the
// time. It runs alone: -bench takes one mode, as in
//
//	go test ./pkg/agent -run '^$' -bench Netfilter/iptables-nft -benchtime 1x
func BenchmarkNetfilter(b *testing.B) {
	for _, program := range []string{"iptables-nft-restore", "iptables-legacy-restore", "nft"} {
		b.Run(strings.TrimSuffix(program, "-restore"), func(b *testing.B) {
			inNamespace(b, program)
			load(b, program)
			var before, after unix.Rusage
			_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
			peak := make(chan int64)
			stop := make(chan struct{})
			go watch(stop, peak)
			for b.Loop() {
				if files, gaps := netfilterFiles(ownNet); len(gaps) > 0 || strings.Count(files["/service-rules"], "\n") != 10000 {
					b.Fatalf("gaps %v, %d rules", gaps, strings.Count(files["/service-rules"], "\n"))
				}
			}
			close(stop)
			_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
			spent := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
			b.ReportMetric(spent.Seconds()/float64(b.N), "cpu-s/op")
			b.ReportMetric(float64(<-peak)/1024, "MiB-peak")
		})
	}
}

// watch follows how much of the process is in memory, in KiB, and tells the most.
func watch(stop chan struct{}, peak chan int64) {
	most := int64(0)
	for {
		status, _ := os.ReadFile("/proc/self/statm")
		if words := strings.Fields(string(status)); len(words) > 1 {
			pages, _ := strconv.ParseInt(words[1], 10, 64)
			most = max(most, pages*int64(os.Getpagesize())/1024)
		}
		select {
		case <-stop:
			peak <- most
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// load writes the rules straight into the program, so that they take no memory here.
func load(b *testing.B, program string) {
	b.Helper()
	args := []string{}
	if program == "nft" {
		args = []string{"-f", "-"}
	}
	cmd := exec.Command(program, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	write := writeIPTables
	if program == "nft" {
		write = writeNFTables
	}
	write(func(format string, args ...any) { fmt.Fprintf(stdin, format+"\n", args...) })
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
}

func benchService(i int) (ip, name string) {
	return fmt.Sprintf("10.96.%d.%d", i/250, i%250+1), fmt.Sprintf("ns%d/svc%d:http", i%50, i)
}

func benchEndpoint(i, e int) string {
	return fmt.Sprintf("10.%d.%d.%d", 244+(i*5+e)/62500, (i*5+e)/250%250, (i*5+e)%250+1)
}

func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base32.StdEncoding.EncodeToString(sum[:])[:16]
}

// writeIPTables writes what kube-proxy does in the mode iptables, in a cluster so large that
// it leaves comments out.
func writeIPTables(line func(string, ...any)) {
	for _, head := range []string{"*nat", ":PREROUTING ACCEPT", ":KUBE-SERVICES -", ":KUBE-MARK-MASQ -", "-A PREROUTING -j KUBE-SERVICES"} {
		line("%s", head)
	}
	for i := range 10000 {
		ip, name := benchService(i)
		service := "KUBE-SVC-" + hashed(name)
		line(":%s -", service)
		line(`-A KUBE-SERVICES -m comment --comment "%s cluster IP" -m tcp -p tcp -d %s --dport 80 -j %s`, name, ip, service)
		line(`-A %s -m comment --comment "%s cluster IP" -m tcp -p tcp -d %s --dport 80 ! -s 10.244.0.0/16 -j KUBE-MARK-MASQ`, service, name, ip)
		for e := range 5 {
			to := benchEndpoint(i, e)
			chain := "KUBE-SEP-" + hashed(name+to)
			line(":%s -", chain)
			line("-A %s -m statistic --mode random --probability %f -j %s", service, 1/float64(5-e), chain)
			line("-A %s -s %s -j KUBE-MARK-MASQ", chain, to)
			line("-A %s -m tcp -p tcp -j DNAT --to-destination %s:8080", chain, to)
		}
	}
	line("COMMIT")
}

// writeNFTables writes what kube-proxy does in the mode nftables.
func writeNFTables(line func(string, ...any)) {
	line("table ip kube-proxy {")
	for i := range 10000 {
		_, name := benchService(i)
		var to []string
		for e := range 5 {
			to = append(to, fmt.Sprintf("%d : %s . 8080", e, benchEndpoint(i, e)))
		}
		line("chain service-%s/x {\nmeta l4proto tcp dnat ip to numgen random mod 5 map { %s }\n}", hashed(name), strings.Join(to, ", "))
	}
	line("map service-ips {\ntype ipv4_addr . inet_proto . inet_service : verdict\nelements = {")
	for i := range 10000 {
		ip, name := benchService(i)
		line("%s . tcp . 80 : goto service-%s/x,", ip, hashed(name))
	}
	line("}\n}\nchain services {\nip daddr . meta l4proto . th dport vmap @service-ips\n}")
	line("chain nat-prerouting {\ntype nat hook prerouting priority dstnat; policy accept;\njump services\n}\n}")
}
