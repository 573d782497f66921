//go:build !linux

package agent

import (
	"context"
	"runtime"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// Host looks at nothing: only Linux is known. The result says so under /asked.
func Host(_ context.Context, opts HostOptions) *Result {
	return &Result{
		Version: ResultVersion,
		Node:    opts.Node,
		Gaps:    map[string]string{host.Asked: "only Linux is looked at, and this is " + runtime.GOOS},
	}
}
