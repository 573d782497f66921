package kubelet_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubelet"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

func TestChecks(t *testing.T) { checktest.Run(t, kubelet.Checks()) }
