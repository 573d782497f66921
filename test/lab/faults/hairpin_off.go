package faults

import (
	"context"
	"errors"
	"strings"
)

// hairpinOff is a node whose pods are made without hairpin mode: each of them reaches every
// Service but for what leads back to itself.
func hairpinOff() *Fault {
	set := func(from, to string) func(context.Context, Lab) error {
		return func(ctx context.Context, lab Lab) error {
			_, err := sh(ctx, lab, last(lab), `sed -i "s/\"hairpinMode\": $2/\"hairpinMode\": $3/" "$1"`, conflist, from, to)
			return err
		}
	}
	return &Fault{
		ID: "hairpin-off", Title: "pods of one node do not reach themselves through a Service", Shell: true,
		Depth: "probe", Deep: "hairpin",
		Break: set("true", "false"),
		Shown: func(ctx context.Context, lab Lab) error {
			out, err := lab.Exec(ctx, last(lab), "cat", conflist)
			if err != nil {
				return err
			}
			if !strings.Contains(out, `"hairpinMode": false`) {
				return errors.New("the plugin sets hairpin mode")
			}
			return nil
		},
		Mend: set("false", "true"),
	}
}
