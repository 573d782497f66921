package faults

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/test/plane"
)

func TestMain(m *testing.M) { plane.Main(m) }
