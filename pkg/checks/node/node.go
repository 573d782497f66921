// Package node holds the checks of the nodes themselves: whether they have a pod
// network at all.
package node

import "github.com/kubectl-netdoctor/netdoctor/pkg/checks"

// Checks lists the package's checks.
func Checks() []*checks.Check { return []*checks.Check{NetworkNotReady} }
