package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

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
	if o.params.OnNodes {
		e.Nodes = e.nodes(o.cluster, o.reading)
	}
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

// Set is apply.Nodes'. Where the kubelet is restarted, it must tell the new value after it, and
// the node be Ready if it was: else the old one is put back, and waited for the same way.
func (n *nodes) Set(ctx context.Context, s facts.Setting, to *string) error {
	if s.Unit == "" {
		return n.write(ctx, s, to)
	}
	was, err := n.condition(ctx, s.Node)
	if err != nil {
		return facts.AsItWas(fmt.Errorf("reading Node %s: %w", s.Node, err))
	}
	if err := n.write(ctx, s, to); err != nil {
		return err
	}
	n.progress("waiting for the kubelet of Node " + s.Node)
	why := n.settled(ctx, s.With(to), was)
	if why == nil {
		return nil
	}
	err = n.write(ctx, s.With(to), s.Value)
	if err == nil {
		err = n.settled(ctx, s, was)
	}
	if err != nil {
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
func (n *nodes) settled(ctx context.Context, s facts.Setting, was corev1.NodeCondition) error {
	ctx, cancel := context.WithTimeout(ctx, n.patience)
	defer cancel()
	last := errors.New("nothing was heard of it")
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		last = n.ready(ctx, s, was)
		return last == nil, nil
	})
	if err != nil {
		return last
	}
	return nil
}

// condition returns what a node says of being Ready; nothing where it does not say so.
func (n *nodes) condition(ctx context.Context, name string) (corev1.NodeCondition, error) {
	node, err := n.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return corev1.NodeCondition{}, err
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c, nil
		}
	}
	return corev1.NodeCondition{}, nil
}

// resolvConfDefault is what a kubelet takes where the field is not there
// (k8s.io/kubernetes pkg/kubelet/apis/config/v1beta1, SetDefaults_KubeletConfiguration).
const resolvConfDefault = "/etc/resolv.conf"

// ready says why a kubelet is not yet at work with a setting. What the API server holds of a
// node may be of the kubelet before: one that has started tells its state at once.
func (n *nodes) ready(ctx context.Context, s facts.Setting, was corev1.NodeCondition) error {
	config, _, err := gather.Configz(ctx, n.client, s.Node)
	if err != nil {
		return fmt.Errorf("its kubelet does not tell its configuration: %w", err)
	}
	if s.Field == "resolvConf" && ptr.Deref(config.ResolverConfig, resolvConfDefault) != ptr.Deref(s.Value, resolvConfDefault) {
		return errors.New("its kubelet goes on with another resolvConf")
	}
	if was.Status != corev1.ConditionTrue {
		return nil // that had another reason
	}
	now, err := n.condition(ctx, s.Node)
	switch {
	case err != nil:
		return err
	case now.Status == "":
		return errors.New("it does not tell whether it is Ready")
	case now.Status != corev1.ConditionTrue:
		return fmt.Errorf("it is not Ready: %s", told(now.Message))
	case now.LastHeartbeatTime.Equal(&was.LastHeartbeatTime):
		return errors.New("its kubelet has not told its state since it was restarted")
	}
	return nil
}
