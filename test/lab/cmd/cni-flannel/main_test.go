package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/skel"
)

// subnetFile writes what flanneld would.
func subnetFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "subnet.env")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const written = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"

func TestDelegateIsBridgeWithNodeRange(t *testing.T) {
	node, err := loadSubnet(subnetFile(t, written))
	if err != nil {
		t.Fatal(err)
	}
	conf, err := loadConfig([]byte(`{"name":"cbr0","cniVersion":"1.0.0","type":"flannel","delegate":{"hairpinMode":true,"isDefaultGateway":true}}`))
	if err != nil {
		t.Fatal(err)
	}
	plugin, network, err := conf.delegate(node)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"cniVersion":"1.0.0","hairpinMode":true,"ipMasq":false,` +
		`"ipam":{"ranges":[[{"subnet":"10.244.1.0/24"}]],"routes":[{"dst":"10.244.0.0/16"}],"type":"host-local"},` +
		`"isDefaultGateway":true,"isGateway":true,"mtu":1450,"name":"cbr0","type":"bridge"}`
	if got := string(network); plugin != "bridge" || got != want {
		t.Errorf("%s gets\n%s, want\n%s", plugin, got, want)
	}
}

func TestAddErrorsHaveUpstreamsWords(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "subnet.env")
	half := subnetFile(t, "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_MTU=1450\n")
	for _, tc := range []struct{ name, config, want string }{
		{"no file", `{"subnetFile":"` + missing + `"}`, "loadFlannelSubnetEnv failed: open " + missing + ": no such file or directory"},
		{"half a file", `{"subnetFile":"` + half + `"}`, half + " is missing FLANNEL_SUBNET, FLANNEL_IPMASQ"},
		{"no JSON", `{`, "failed to load netconf: "},
		{"name", `{"subnetFile":"` + subnetFile(t, written) + `","delegate":{"name":"x"}}`, "'delegate' dictionary must not have 'name' field, it'll be set by flannel"},
		{"type", `{"subnetFile":"` + subnetFile(t, written) + `","delegate":{"type":7}}`, "must have (string) 'type' field"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := add(&skel.CmdArgs{StdinData: []byte(tc.config)})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q", err, tc.want)
			}
		})
	}
}

func TestDeletionOfUnknownContainerIsFine(t *testing.T) {
	config, err := json.Marshal(map[string]string{"dataDir": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := del(&skel.CmdArgs{ContainerID: "unknown", StdinData: config}); err != nil {
		t.Error(err)
	}
}
