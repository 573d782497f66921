package workload_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/workload"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

func TestFixtures(t *testing.T) { checktest.Run(t, workload.Checks()) }
