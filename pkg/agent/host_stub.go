package agent

import "context"

// Host looks at the node.
func Host(_ context.Context, opts HostOptions) *Result {
	return &Result{Version: ResultVersion, Node: opts.Node, Gaps: map[string]string{"/": "not looked at"}}
}
