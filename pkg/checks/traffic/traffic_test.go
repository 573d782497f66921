package traffic_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

func TestChecks(t *testing.T) { checktest.Run(t, traffic.Checks()) }
