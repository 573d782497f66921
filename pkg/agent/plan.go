package agent

import (
	"encoding/json"
	"fmt"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Plan is what a probe pod is told to try, as JSON in an environment variable. One that
// answers others is told of its own Service alone, if of anything.
type Plan struct {
	Targets []Target `json:"targets"`

	// Upstream asks the servers of the pod's own resolv.conf, too, for a name.
	Upstream string `json:"upstream,omitempty"`
}

// PlanVariable holds the Plan of a pod.
const PlanVariable = "NETDOCTOR_PLAN"

// Target is one thing to try.
type Target struct {
	Kind   facts.TryKind   `json:"kind"`
	To     string          `json:"to"`
	ToNode string          `json:"toNode,omitempty"`
	Target facts.TryTarget `json:"target"`
	Name   string          `json:"name,omitempty"`
	Count  int             `json:"count,omitempty"` // how often; 0: as often as is usual for the kind
}

// ParsePlan reads a plan.
func ParsePlan(text string) (Plan, error) {
	var p Plan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("%s: %w", PlanVariable, err)
	}
	return p, nil
}
