package plane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/network"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/wait"
)

// corefile makes the upstream server answer one name and deny all others, so
// that nothing depends on the world's DNS.
const corefile = `.:53 {
    bind ` + network.UpstreamDNSAddress + `
    errors
    template IN A ` + upstreamName + ` {
        answer "{{ .Name }} 60 IN A 192.0.2.7"
    }
    template IN AAAA ` + upstreamName + ` {
        rcode NOERROR
    }
    template ANY ANY {
        rcode NXDOMAIN
    }
}
`

// upstreamName is the name outside the cluster that resolves.
const upstreamName = "example.test"

// startUpstreamDNS starts the DNS server that the nodes' resolv.conf names.
func (c *Cluster) startUpstreamDNS(ctx context.Context) (context.Context, error) {
	file := c.State.path("upstream.corefile")
	if err := os.WriteFile(file, []byte(corefile), 0o600); err != nil {
		return ctx, fmt.Errorf("configuring the upstream DNS server: %w", err)
	}
	programs, err := filepath.Glob(filepath.Join(c.NodeBin, "coredns-*"))
	if err != nil || len(programs) == 0 {
		return ctx, errors.New("the build has no CoreDNS")
	}
	children, ctx := c.processes(ctx, c.Network.Switch())
	if err := children.start(programs[0], "-conf", file); err != nil {
		return ctx, err
	}
	err = wait.For(ctx, startTimeout, func() error {
		conn, err := c.Network.ControlPlane().Dial(ctx, "tcp", net.JoinHostPort(network.UpstreamDNSAddress, "53"))
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		return ctx, fmt.Errorf("waiting for the upstream DNS server: %w", err)
	}
	return ctx, nil
}
