//go:build !linux

package agent

import "context"

// ChangeNode changes nothing here.
func ChangeNode(context.Context, string, Change) *Changed {
	return &Changed{Refused: "it runs on Linux alone"}
}
