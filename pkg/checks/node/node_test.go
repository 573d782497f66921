package node_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

func TestChecks(t *testing.T) { checktest.Run(t, node.Checks()) }
