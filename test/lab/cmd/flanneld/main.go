// Command flanneld is flannel's daemon over flannel's own packages, with the
// Kubernetes subnet manager, the backends vxlan and host-gw and iptables.
// Upstream's main cannot be built from every Go proxy: it links the SDK of a
// cloud that some refuse, and a backend that needs cgo. The order of the steps
// and the words of the log are upstream's.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/flannel-io/flannel/pkg/backend"
	_ "github.com/flannel-io/flannel/pkg/backend/hostgw"
	_ "github.com/flannel-io/flannel/pkg/backend/vxlan"
	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/subnet/kube"
	"github.com/flannel-io/flannel/pkg/trafficmngr/iptables"
	"k8s.io/klog/v2"
)

// options are those of upstream's flags that a manifest of flannel may set.
type options struct {
	ipMasq, kubeSubnetMgr, forwardRules  bool
	iface, publicIP                      string
	kubeconfig, netConfPath, subnetFile  string
	healthzIP                            string
	healthzPort, iptablesResyncInSeconds int
}

func main() {
	opts := parseFlags()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opts); err != nil {
		klog.Error(err)
		klog.Flush()
		os.Exit(1)
	}
	klog.Info("Exiting cleanly...")
}

// failure is an error with the words of upstream's log, which begin like a
// sentence.
func failure(words string, err error) error { return fmt.Errorf("%s: %w", words, err) }

func parseFlags() options {
	var opts options
	flags := flag.NewFlagSet("flannel", flag.ExitOnError)
	flags.BoolVar(&opts.ipMasq, "ip-masq", false, "setup IP masquerade rule for traffic destined outside of overlay network")
	flags.BoolVar(&opts.kubeSubnetMgr, "kube-subnet-mgr", false, "contact the Kubernetes API for subnet assignment; there is no other way here")
	flags.BoolVar(&opts.forwardRules, "iptables-forward-rules", true, "add default accept rules to FORWARD chain in iptables")
	flags.StringVar(&opts.iface, "iface", "", "interface to use (IP or name) for inter-host communication")
	flags.StringVar(&opts.publicIP, "public-ip", "", "IP accessible by other nodes for inter-host communication")
	flags.StringVar(&opts.kubeconfig, "kubeconfig-file", "", "kubeconfig file location; not needed in a pod")
	flags.StringVar(&opts.netConfPath, "net-config-path", "/etc/kube-flannel/net-conf.json", "path to the network configuration file")
	flags.StringVar(&opts.subnetFile, "subnet-file", "/run/flannel/subnet.env", "filename where env variables (subnet, MTU, ... ) will be written to")
	flags.StringVar(&opts.healthzIP, "healthz-ip", "0.0.0.0", "the IP address for healthz server to listen")
	flags.IntVar(&opts.healthzPort, "healthz-port", 0, "the port for healthz server to listen (0 to disable)")
	flags.IntVar(&opts.iptablesResyncInSeconds, "iptables-resync", 5, "resync period for iptables rules, in seconds")
	klog.InitFlags(flags)
	_ = flags.Parse(os.Args[1:]) // exits on errors
	return opts
}

func run(ctx context.Context, opts options) error {
	if !opts.kubeSubnetMgr {
		return errors.New("this flanneld needs --kube-subnet-mgr")
	}
	const annotations = "flannel.alpha.coreos.com"
	manager, err := kube.NewSubnetManager(ctx, "", opts.kubeconfig, annotations, opts.netConfPath, true)
	if err != nil {
		return failure("Failed to create SubnetManager", err)
	}
	klog.Infof("Created subnet manager: %s", manager.Name())

	var ready atomic.Bool
	if opts.healthzPort > 0 {
		go serveHealth(net.JoinHostPort(opts.healthzIP, strconv.Itoa(opts.healthzPort)), &ready)
	}
	config, err := manager.GetNetworkConfig(ctx)
	if err != nil {
		return failure("Couldn't fetch network config", err)
	}
	klog.Infof("Found network config - Backend type: %s", config.BackendType)
	if _, err := os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables"); os.IsNotExist(err) {
		return failure("Failed to check br_netfilter", err)
	}

	// Both end by themselves when ctx does; without the group a lease that is
	// given up could still be in use.
	var background sync.WaitGroup
	network, err := register(ctx, opts, manager, config, &background)
	if err != nil {
		return err
	}
	if err := setUpRules(ctx, opts, config, network); err != nil {
		return err
	}
	lease := network.Lease()
	if err := manager.HandleSubnetFile(opts.subnetFile, config, opts.ipMasq, lease.Subnet, lease.IPv6Subnet, network.MTU()); err != nil {
		klog.Warningf("Failed to write subnet file: %s", err) // upstream goes on as well
	} else {
		klog.Infof("Wrote subnet file to %s", opts.subnetFile)
		ready.Store(true)
	}
	klog.Info("Running backend.")
	background.Go(func() { network.Run(ctx) })
	if err := manager.CompleteLease(ctx, lease, &background); err != nil {
		klog.Errorf("CompleteLease execute error err: %v", err)
	}
	klog.Info("Waiting for all goroutines to exit")
	background.Wait()
	return nil
}

// register takes the node's subnet and makes the interface that leads to the
// other nodes.
func register(ctx context.Context, opts options, manager subnet.Manager, config *subnet.Config, background *sync.WaitGroup) (backend.Network, error) {
	stack, err := ipmatch.GetIPFamily(config.EnableIPv4, config.EnableIPv6)
	if err != nil {
		return nil, err
	}
	public := ipmatch.PublicIPOpts{PublicIP: opts.publicIP}
	// An annotation on the node wins over the flag.
	if v4, v6 := manager.GetStoredPublicIP(ctx); v4 != "" || v6 != "" {
		public = ipmatch.PublicIPOpts{PublicIP: v4, PublicIPv6: v6}
	}
	name := opts.iface
	if name == "" {
		name = public.PublicIP
	}
	external, err := ipmatch.LookupExtIface(name, "", "", stack, public)
	if err != nil {
		return nil, failure("Failed to find any valid interface to use", err)
	}
	be, err := backend.NewManager(ctx, manager, external).GetBackend(config.BackendType)
	if err != nil {
		return nil, failure("Error fetching backend", err)
	}
	network, err := be.RegisterNetwork(ctx, background, config)
	if err != nil {
		return nil, failure("Error registering network", err)
	}
	return network, nil
}

func setUpRules(ctx context.Context, opts options, config *subnet.Config, network backend.Network) error {
	rules := &iptables.IPTablesManager{}
	if err := rules.Init(ctx); err != nil {
		return err
	}
	noIPv6 := ip.IP6Net{IP: (*ip.IP6)(big.NewInt(0))}
	if opts.ipMasq {
		previous := readSubnetFile(opts.subnetFile)
		err := rules.SetupAndEnsureMasqRules(ctx,
			config.Network, previous["FLANNEL_SUBNET"], previous["FLANNEL_NETWORK"],
			config.IPv6Network, noIPv6, noIPv6,
			network.Lease(), opts.iptablesResyncInSeconds, false)
		if err != nil {
			return failure("Failed to setup masq rules", err)
		}
	}
	if opts.forwardRules {
		rules.SetupAndEnsureForwardRules(ctx, config.Network, config.IPv6Network, opts.iptablesResyncInSeconds)
	}
	return nil
}

// readSubnetFile returns the IPv4 ranges that an earlier flanneld wrote; their
// rules go when the subnet has changed. There is none on a new node.
func readSubnetFile(path string) map[string]ip.IP4Net {
	ranges := map[string]ip.IP4Net{}
	content, err := os.ReadFile(path)
	if err != nil {
		return ranges
	}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if _, parsed, err := net.ParseCIDR(value); err == nil && parsed.IP.To4() != nil {
			ranges[name] = ip.FromIPNet(parsed)
		}
	}
	return ranges
}

func serveHealth(address string, ready *atomic.Bool) {
	klog.Infof("Start healthz server on %s", address)
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "flanneld is running")
	})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			http.Error(w, "flanneld is not ready yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "flanneld is ready")
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	if err := server.ListenAndServe(); err != nil {
		klog.Errorf("Start healthz server error. %v", err)
		klog.Flush()
		os.Exit(1)
	}
}
