//go:build !linux

package agent

import (
	"errors"
	"syscall"
)

// unbroken is for the pods, which run on Linux.
func unbroken(string, syscall.RawConn) error { return errors.ErrUnsupported }

// routeMTU is for the pods likewise.
func routeMTU(syscall.RawConn, bool) int { return 0 }
