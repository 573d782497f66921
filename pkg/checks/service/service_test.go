package service_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/service"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

func TestChecks(t *testing.T) { checktest.Run(t, service.Checks()) }
