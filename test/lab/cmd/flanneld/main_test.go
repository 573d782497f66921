package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReadSubnetFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "subnet.env")
	content := "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_IPV6_SUBNET=fd00::1/64\nFLANNEL_MTU=1450\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	got := readSubnetFile(file)
	if len(got) != 2 || got["FLANNEL_NETWORK"].String() != "10.244.0.0/16" || got["FLANNEL_SUBNET"].String() != "10.244.1.0/24" {
		t.Errorf("got %v, want the two IPv4 ranges", got)
	}
	if got := readSubnetFile(filepath.Join(t.TempDir(), "none")); len(got) != 0 {
		t.Errorf("got %v from no file", got)
	}
}
