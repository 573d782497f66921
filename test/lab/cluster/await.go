package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/node"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/wait"
)

// awaitNode waits until the node is Ready and pods on it can have a network.
func (s *start) awaitNode(ctx context.Context, n node.Node) error {
	return wait.For(ctx, 2*time.Minute, func() error {
		var got struct {
			Spec   struct{ PodCIDR string }
			Status struct {
				Conditions []struct{ Type, Status, Message string }
			}
		}
		if err := wait.JSON(ctx, s.client, s.plane.Server()+"/api/v1/nodes/"+n.Name, &got); err != nil {
			return err
		}
		for _, condition := range got.Status.Conditions {
			if condition.Type != "Ready" {
				continue
			}
			if condition.Status != "True" {
				return errors.New(condition.Message)
			}
			return errors.Join(
				s.network.Route(got.Spec.PodCIDR, n.Address),
				flannelWrote(ctx, n))
		}
		return errors.New("the node has no condition Ready yet")
	})
}

// flannelWrote returns nil once flannel's plugin can work. The node is Ready a
// moment before, and a pod that is started in between has to wait long for its
// next attempt.
func flannelWrote(ctx context.Context, n node.Node) error {
	if _, err := n.Exec(ctx, "test", "-e", "/run/flannel/subnet.env"); err != nil {
		return fmt.Errorf("flannel has not written the node's subnet: %w", err)
	}
	return nil
}

func (s *start) awaitWorkload(ctx context.Context, name string) error {
	url := s.plane.Server() + "/apis/apps/v1/namespaces/" + name
	return wait.For(ctx, 2*time.Minute, func() error {
		var w workload
		if err := wait.JSON(ctx, s.client, url, &w); err != nil {
			return err
		}
		return w.complete()
	})
}

// workload is what a Deployment or a DaemonSet says about its pods.
type workload struct {
	Metadata struct{ Generation int }
	Spec     struct{ Replicas int } // of a Deployment
	Status   struct {
		ObservedGeneration     int
		ReadyReplicas          int // of a Deployment
		DesiredNumberScheduled int // of a DaemonSet
		NumberReady            int // of a DaemonSet
	}
}

func (w workload) complete() error {
	wanted := w.Spec.Replicas + w.Status.DesiredNumberScheduled
	ready := w.Status.ReadyReplicas + w.Status.NumberReady
	if w.Status.ObservedGeneration < w.Metadata.Generation || wanted == 0 || ready < wanted {
		return fmt.Errorf("%d of %d pods are ready", ready, wanted)
	}
	return nil
}

// healthy returns nil if the API server is ready and every node runs and is
// Ready.
func (c *Cluster) healthy(ctx context.Context) error {
	for _, n := range c.nodes() {
		if err := n.Running(); err != nil {
			return err
		}
	}
	out, err := c.Kubectl(ctx, "", "get", "nodes", "--request-timeout=10s", "-o",
		`jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}`)
	if err != nil {
		return err
	}
	for _, name := range c.Nodes() {
		if !strings.Contains(out, name+"=True ") {
			return fmt.Errorf("%s is not Ready", name)
		}
	}
	return nil
}
