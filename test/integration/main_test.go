// Package integration runs the commands against a real API server (test/plane).
package integration

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/test/plane"
)

func TestMain(m *testing.M) { plane.Main(m) }
