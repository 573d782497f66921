package faults

import (
	"fmt"
	"os"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/test/plane"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(orderVariable); file != "" {
		if err := carryOut(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	plane.Main(m)
}
