package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

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

// mostTold is how much is kept of what a node says of a change, in bytes.
const mostTold = 300

// nodes reads and writes settings of nodes by pods there.
type nodes struct {
	client   kubernetes.Interface
	change   func(context.Context, agent.Change) (*agent.Changed, error) // by a pod; probe.Change
	progress func(string)
	patience time.Duration // nodeReady

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
	opts := probe.Options{Image: how.image, PullSecret: how.pullSecret, Warn: func(what string) {
		line.clear()
		fmt.Fprintln(c.env.ErrOut, "warning: "+report.Clean(what))
	}}
	return &nodes{
		client: e.client, known: map[string]*string{}, progress: line.show, patience: nodeReady,
		change: func(ctx context.Context, change agent.Change) (*agent.Changed, error) {
			return probe.Change(ctx, e.config, change, opts)
		},
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
	changed, err := n.change(ctx, agent.Change{Setting: s.With(nil)})
	switch {
	case err != nil:
		return nil, err
	case changed.Refused != "":
		return nil, fmt.Errorf("node %s: %s", s.Node, told(changed.Refused))
	case !s.With(changed.Now).Valid():
		return nil, fmt.Errorf("node %s: %s has a value that no repair takes back: change it by hand", s.Node, s.Path)
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
		// Neither may say that the node is as it was, whatever it is of: they are not wrapped.
		return errors.New("node " + s.Node + ": " + why.Error() + "; and putting it back failed: " + err.Error())
	}
	return facts.AsItWas(fmt.Errorf("node %s: %w; it was put back", s.Node, why))
}

func (n *nodes) write(ctx context.Context, s facts.Setting, to *string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.known, s.Key())
	n.progress("changing Node " + s.Node)
	changed, err := n.change(ctx, agent.Change{Setting: s, To: to, Write: true})
	switch {
	case err != nil:
		return err
	case changed.Differs:
		return apply.ErrChanged // what it is now is read anew
	case changed.Broken != "":
		return fmt.Errorf("node %s: %s", s.Node, told(changed.Broken))
	case changed.Refused != "":
		return facts.AsItWas(fmt.Errorf("node %s: %s", s.Node, told(changed.Refused)))
	case !facts.Same(changed.Now, to):
		return fmt.Errorf("node %s does not tell that it has the new value", s.Node)
	}
	n.known[s.Key()] = to
	return nil
}

// told bounds what a node says.
func told(text string) string {
	if len(text) > mostTold {
		text = strings.ToValidUTF8(text[:mostTold], "") + "..."
	}
	return text
}

// settled waits until the kubelet of a node is at work with a setting.
func (n *nodes) settled(ctx context.Context, s facts.Setting) error {
	ctx, cancel := context.WithTimeout(ctx, n.patience)
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
	i := slices.IndexFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	if i < 0 {
		return errors.New("it does not tell whether it is Ready")
	}
	if c := node.Status.Conditions[i]; c.Status != corev1.ConditionTrue {
		return fmt.Errorf("it is not Ready: %s", told(c.Message))
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
