// Command cni-flannel stands in for flannel's CNI plugin, whose module cannot
// be had from every Go proxy. It turns what flanneld wrote about the node's
// subnet into a network for the bridge plugin, and its errors have the words of
// the original, because they are what the kubelet shows.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

// config is the plugin's part of a conflist.
type config struct {
	types.NetConf
	SubnetFile    string         `json:"subnetFile"`
	DataDir       string         `json:"dataDir"`
	Delegate      map[string]any `json:"delegate"`
	RuntimeConfig map[string]any `json:"runtimeConfig"`
}

// subnet is what flanneld knows about the node.
type subnet struct {
	network, nodeRange string // in CIDR notation, without host bits
	mtu                int
	masquerades        bool
}

func main() {
	// Upstream checks nothing either.
	check := func(*skel.CmdArgs) error { return nil }
	skel.PluginMainFuncs(skel.CNIFuncs{Add: add, Del: del, Check: check}, version.All, "CNI plugin flannel, stand-in")
}

func add(args *skel.CmdArgs) error {
	conf, err := loadConfig(args.StdinData)
	if err != nil {
		return err
	}
	node, err := loadSubnet(conf.SubnetFile)
	if err != nil {
		return fmt.Errorf("loadFlannelSubnetEnv failed: %w", err)
	}
	plugin, network, err := conf.delegate(node)
	if err != nil {
		return err
	}
	// The deletion must name the same network, and flanneld may be gone by then.
	if err := os.MkdirAll(conf.DataDir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(conf.DataDir, args.ContainerID), network, 0o600); err != nil {
		return err
	}
	result, err := invoke.DelegateAdd(context.Background(), plugin, network, nil)
	if err != nil {
		return fmt.Errorf("failed to delegate add: %w", err)
	}
	return result.Print()
}

func del(args *skel.CmdArgs) error {
	conf, err := loadConfig(args.StdinData)
	if err != nil {
		return err
	}
	saved := filepath.Join(conf.DataDir, args.ContainerID)
	network, err := os.ReadFile(saved)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a deletion may be asked for twice
	}
	if err != nil {
		return err
	}
	var delegated types.NetConf
	if err := json.Unmarshal(network, &delegated); err != nil {
		return fmt.Errorf("failed to parse netconf: %w", err)
	}
	if err := invoke.DelegateDel(context.Background(), delegated.Type, network, nil); err != nil {
		return err
	}
	return os.Remove(saved)
}

func loadConfig(stdin []byte) (*config, error) {
	conf := &config{SubnetFile: "/run/flannel/subnet.env", DataDir: "/var/lib/cni/flannel"}
	if err := json.Unmarshal(stdin, conf); err != nil {
		return nil, fmt.Errorf("failed to load netconf: %w", err)
	}
	return conf, nil
}

func loadSubnet(path string) (subnet, error) {
	values, err := readEnv(path)
	if err != nil {
		return subnet{}, err
	}
	var missing []string
	for _, name := range []string{"FLANNEL_NETWORK", "FLANNEL_SUBNET", "FLANNEL_MTU", "FLANNEL_IPMASQ"} {
		if _, found := values[name]; !found {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return subnet{}, fmt.Errorf("%v is missing %v", path, strings.Join(missing, ", "))
	}
	_, network, err := net.ParseCIDR(values["FLANNEL_NETWORK"])
	if err != nil {
		return subnet{}, err
	}
	// The value is the gateway's address, which host-local would not accept.
	_, nodeRange, err := net.ParseCIDR(values["FLANNEL_SUBNET"])
	if err != nil {
		return subnet{}, err
	}
	mtu, err := strconv.Atoi(values["FLANNEL_MTU"])
	if err != nil {
		return subnet{}, err
	}
	return subnet{network.String(), nodeRange.String(), mtu, values["FLANNEL_IPMASQ"] == "true"}, nil
}

func readEnv(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	values := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name, value, found := strings.Cut(lines.Text(), "="); found {
			values[name] = value
		}
	}
	return values, lines.Err()
}

// delegate returns the plugin that makes the network and its configuration.
func (c *config) delegate(node subnet) (plugin string, network []byte, err error) {
	merged := map[string]any{
		"type":      "bridge",
		"isGateway": true,
		"ipMasq":    !node.masquerades, // one of the two must
		"mtu":       node.mtu,
	}
	for key, value := range c.Delegate {
		if key == "name" || key == "ipam" {
			return "", nil, fmt.Errorf("'delegate' dictionary must not have '%s' field, it'll be set by flannel", key)
		}
		merged[key] = value
	}
	plugin, isString := merged["type"].(string)
	if !isString {
		return "", nil, errors.New("'delegate' dictionary, if present, must have (string) 'type' field")
	}
	merged["name"] = c.Name
	merged["cniVersion"] = c.CNIVersion
	merged["ipam"] = map[string]any{
		"type":   "host-local",
		"ranges": [][]map[string]string{{{"subnet": node.nodeRange}}},
		"routes": []map[string]string{{"dst": node.network}},
	}
	if c.RuntimeConfig != nil {
		merged["runtimeConfig"] = c.RuntimeConfig
	}
	network, err = json.Marshal(merged)
	if err != nil {
		return "", nil, fmt.Errorf("error serializing delegate netconf: %w", err)
	}
	return plugin, network, nil
}
