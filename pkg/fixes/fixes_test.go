package fixes_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixtest"
)

func TestFixes(t *testing.T) { fixtest.Run(t, fixes.All()) }
