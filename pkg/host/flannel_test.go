package host_test

import (
	"fmt"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

func TestFlannel(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_SUBNET=10.42.3.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n", "10.42.3.0/24 1450"},
		{"FLANNEL_SUBNET=10.42.3.1/24", "10.42.3.0/24 0"},
		{"FLANNEL_IPV6_SUBNET=fd00:42::1/64\nFLANNEL_MTU=1430\n", "invalid Prefix 1430"},
		{"FLANNEL_SUBNET=\nFLANNEL_MTU=-1\nFLANNEL_MTU=much\n", "invalid Prefix 0"},
		{"", "invalid Prefix 0"},
	} {
		f := view(host.FlannelFile, tt.text).Flannel(host.FlannelFile)
		if got := fmt.Sprint(f.Subnet, " ", f.MTU); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.text, got, tt.want)
		}
	}
	if f := view("/x", "").Flannel(host.FlannelFile); f != (host.Flannel{}) {
		t.Errorf("of what was not read: %+v", f)
	}
}
