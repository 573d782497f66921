package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	pollInterval = 500 * time.Millisecond
	// stepTimeout bounds what one step waits for; it matters only where
	// something is wrong with the lab itself.
	stepTimeout = time.Minute
)

// until polls a condition, for steps that need what the one before brings
// about.
func until(ctx context.Context, holds func() error) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("giving up: %w", err)
		case <-ticker.C:
		}
	}
}

// nodeNotReady is nil once a node is not Ready for want of a network.
func nodeNotReady(ctx context.Context, lab Lab, node string) error {
	message, err := read(ctx, lab, `{.status.conditions[?(@.type=="Ready")].message}`, "node", node)
	if err != nil {
		return err
	}
	if !strings.Contains(message, "NetworkReady=false") {
		return fmt.Errorf("node %s says %q", node, message)
	}
	return nil
}

// podsSay is nil once the state of one of the selected pods holds a text: a
// reason, a message or an exit code, as JSON.
func podsSay(ctx context.Context, lab Lab, namespace, selector, text string) error {
	state, err := read(ctx, lab, "{.items[*].status}", "-n", namespace, "pods", "-l", selector)
	if err != nil {
		return err
	}
	if !strings.Contains(state, text) {
		return fmt.Errorf("no pod of %s says %q", selector, text)
	}
	return nil
}

// podEvent is nil once a pod that is there now has an event with a text.
func podEvent(ctx context.Context, lab Lab, namespace, selector, text string) error {
	names, err := read(ctx, lab, "{.items[*].metadata.name}", "-n", namespace, "pods", "-l", selector)
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(names) {
		messages, err := read(ctx, lab, "{.items[*].message}", "-n", namespace, "events", "--field-selector=involvedObject.name="+name)
		if err != nil {
			return err
		}
		if strings.Contains(messages, text) {
			return nil
		}
	}
	return fmt.Errorf("no pod of %s has an event with %q", selector, text)
}

// logged is nil once a selected pod has logged a text, in this run or in the
// one before.
func logged(ctx context.Context, lab Lab, namespace, selector, text string) error {
	names, err := read(ctx, lab, "{.items[*].metadata.name}", "-n", namespace, "pods", "-l", selector)
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(names) {
		for _, previous := range []string{"--previous=false", "--previous"} {
			// No log yet, or no earlier run, is the same as none with the text.
			if log, err := lab.Kubectl(ctx, "", "-n", namespace, "logs", name, previous); err == nil && strings.Contains(log, text) {
				return nil
			}
		}
	}
	return fmt.Errorf("no pod of %s has logged %q", selector, text)
}

// endpoints is nil where a Service has ready endpoints, or has none if so
// wanted.
func endpoints(ctx context.Context, lab Lab, namespace, service string, want bool) error {
	ready, _, err := served(ctx, lab, namespace, service)
	if err == nil && len(ready) > 0 != want {
		err = fmt.Errorf("ready endpoints of Service %s: %q", service, ready)
	}
	return err
}

// served returns the addresses of a Service's ready endpoints, and the ports
// of its slices.
func served(ctx context.Context, lab Lab, namespace, service string) (ready []string, ports []int, err error) {
	out, err := lab.Kubectl(ctx, "", "-n", namespace, "get", "endpointslices", "-l", "kubernetes.io/service-name="+service, "-o", "json")
	if err != nil {
		return nil, nil, err
	}
	var list struct {
		Items []struct {
			Endpoints []struct {
				Addresses  []string
				Conditions struct{ Ready bool }
			}
			Ports []struct{ Port int }
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, nil, err
	}
	for _, slice := range list.Items {
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready {
				ready = append(ready, e.Addresses...)
			}
		}
		for _, p := range slice.Ports {
			ports = append(ports, p.Port)
		}
	}
	return ready, ports, nil
}

// ofSystem makes Shown of a condition on pods of kube-system.
func ofSystem(condition func(context.Context, Lab, string, string, string) error, selector, text string) func(context.Context, Lab) error {
	return func(ctx context.Context, lab Lab) error { return condition(ctx, lab, system, selector, text) }
}

var errStillWorks = errors.New("everything still works")
