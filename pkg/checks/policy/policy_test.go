package policy_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/policy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

func TestChecks(t *testing.T) { checktest.Run(t, policy.Checks()) }
