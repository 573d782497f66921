package cmd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent"
	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
	"github.com/kubectl-netdoctor/netdoctor/pkg/probe"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// nodeReady is how long a kubelet may take to be Ready again and to tell its configuration,
// once systemd has restarted it. It renews its status every ten seconds at the latest
// (nodeStatusUpdateFrequency).
const nodeReady = time.Minute

// nodes reads and writes settings of nodes by pods there.
type nodes struct {
	config   *rest.Config
	client   kubernetes.Interface
	opts     probe.Options
	progress func(string)

	mu    sync.Mutex
	known map[string]*string // as they were read last, or written
}

// repairer returns what repairs this cluster and its nodes.
func (o *fixCommand) repairer() (*engine, error) {
	if o.repairs != nil {
		return o.repairs, nil
	}
	e, err := o.engine()
	if err != nil {
		return nil, err
	}
	e.Nodes = e.nodes(o.cluster, o.reading)
	o.repairs = e
	return e, nil
}

// nodes returns what reaches the nodes of a cluster.
func (e *engine) nodes(c *cluster, how reading) *nodes {
	line := newProgress(c.env)
	return &nodes{
		config: e.config, client: e.client, known: map[string]*string{}, progress: line.show,
		opts: probe.Options{Image: how.image, PullSecret: how.pullSecret, Warn: func(what string) {
			line.clear()
			fmt.Fprintln(c.env.ErrOut, "warning: "+report.Clean(what))
		}},
	}
}

// Value is apply.Nodes'. What was read once is not read again: the node itself guards it where
// it is written.
func (n *nodes) Value(ctx context.Context, s facts.Setting) (*string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if value, known := n.known[s.Key()]; known {
		return value, nil
	}
	n.progress("looking at Node " + s.Node)
	changed, err := probe.Change(ctx, n.config, agent.Change{Setting: s.With(nil)}, n.opts)
	if err == nil && changed.Refused != "" {
		err = fmt.Errorf("node %s: %s", s.Node, changed.Refused)
	}
	if err != nil {
		return nil, err
	}
	n.known[s.Key()] = changed.Now
	return changed.Now, nil
}

// Set is apply.Nodes'. Where the kubelet is restarted, the node must be Ready after it and its
// kubelet tell the new value: else the old one is put back.
func (n *nodes) Set(ctx context.Context, s facts.Setting, to *string) error {
	if err := n.write(ctx, s, to); err != nil {
		return err
	}
	if s.Unit == "" {
		return nil
	}
	n.progress("waiting for Node " + s.Node + " to be Ready")
	why := n.settled(ctx, s.With(to))
	if why == nil {
		return nil
	}
	if err := n.write(ctx, s.With(to), s.Value); err != nil {
		return fmt.Errorf("node %s: %w; and putting it back failed: %w", s.Node, why, err)
	}
	return fmt.Errorf("node %s: %w; it was put back (%w)", s.Node, why, facts.ErrAsItWas)
}

func (n *nodes) write(ctx context.Context, s facts.Setting, to *string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.known, s.Key())
	n.progress("changing Node " + s.Node)
	changed, err := probe.Change(ctx, n.config, agent.Change{Setting: s, To: to, Write: true}, n.opts)
	switch {
	case err != nil:
		return err
	case changed.Differs:
		n.known[s.Key()] = changed.Now
		return apply.ErrChanged
	case changed.Broken != "":
		return fmt.Errorf("node %s: %s", s.Node, changed.Broken)
	case changed.Refused != "":
		return fmt.Errorf("node %s: %s (%w)", s.Node, changed.Refused, facts.ErrAsItWas)
	}
	n.known[s.Key()] = to
	return nil
}

// settled waits until the kubelet of a node is at work with a setting.
func (n *nodes) settled(ctx context.Context, s facts.Setting) error {
	ctx, cancel := context.WithTimeout(ctx, nodeReady)
	defer cancel()
	last := errors.New("nothing was heard of it")
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		last = n.ready(ctx, s)
		return last == nil, nil
	})
	if err != nil {
		return last
	}
	return nil
}

func (n *nodes) ready(ctx context.Context, s facts.Setting) error {
	node, err := n.client.CoreV1().Nodes().Get(ctx, s.Node, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			return fmt.Errorf("it is not Ready: %s", c.Message)
		}
	}
	config, _, err := gather.Configz(ctx, n.client, s.Node)
	if err != nil {
		return fmt.Errorf("its kubelet does not tell its configuration: %w", err)
	}
	// Where the field is not there the kubelet takes /etc/resolv.conf.
	if s.Field == "resolvConf" && s.Value != nil && (config.ResolverConfig == nil || *config.ResolverConfig != *s.Value) {
		return errors.New("its kubelet goes on with another resolvConf")
	}
	return nil
}
