// Package cluster runs whole Kubernetes clusters on this machine: a control
// plane and nodes with real kubelets, containerd, flannel, kube-proxy and
// CoreDNS, each node in namespaces of its own. It needs root on Linux, and once
// it is built neither a network nor a registry.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/build"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/network"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/node"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/plane"
)

// ControlPlane is the name by which Exec knows the network namespace of the
// control plane.
const ControlPlane = "cp"

// defaultName is also the prefix of the network namespaces, so it is short.
const defaultName = "nd"

// Options say which lab is meant and how it is made.
type Options struct {
	// Name tells labs on one machine apart. The default is "nd".
	Name string
	// Nodes is how many nodes a new lab has. The default is 2.
	Nodes int
	// Module holds the lab's go.mod, go.sum and directory cmd. The default is
	// the module of the working directory, which tests inside it are in.
	Module fs.FS
	// Progress gets a line for each step that takes long. The default is
	// nothing.
	Progress io.Writer
}

// Cluster is a lab that runs.
type Cluster struct {
	name    string
	dir     string
	record  record
	network network.Network
}

// record is what a lab's directory says about it. It is written before anything
// else is made.
type record struct {
	Nodes   int
	Plane   string        // directory of the control plane's programs
	Cluster build.Cluster // directory of everything else that was built
	Ready   bool          // the lab was complete once
}

// fill replaces zero values by the defaults.
func (o *Options) fill(ctx context.Context) error {
	if err := o.fillName(); err != nil {
		return err
	}
	if o.Nodes == 0 {
		o.Nodes = 2
	}
	if o.Nodes < 1 || o.Nodes > network.MaxNodes {
		return fmt.Errorf("a lab has between 1 and %d nodes, not %d", network.MaxNodes, o.Nodes)
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Module == nil {
		m, err := build.FindModule(ctx)
		if err != nil {
			return err
		}
		o.Module = m
	}
	return nil
}

// fillName also keeps names from leading out of the lab's directory.
func (o *Options) fillName() error {
	if o.Name == "" {
		o.Name = defaultName
	}
	if !regexp.MustCompile(`^[a-z][a-z0-9]{0,9}$`).MatchString(o.Name) {
		return fmt.Errorf("a lab's name has up to ten of a-z and 0-9 and starts with a letter, unlike %q", o.Name)
	}
	return nil
}

// Open returns the lab that runs by the name in opts. It is an error where none
// has been completed; whether it is healthy is not looked at.
func Open(opts Options) (*Cluster, error) {
	if err := opts.fillName(); err != nil {
		return nil, err
	}
	c, err := load(opts.Name)
	if err != nil {
		return nil, err
	}
	if !c.record.Ready {
		return nil, fmt.Errorf("no lab %q is running; what is left of one is removed by \"lab down\"", opts.Name)
	}
	return c, nil
}

// errNoLab says that there is nothing by a name, not even leftovers.
var errNoLab = errors.New("no lab is running")

// load returns the lab that has a record, complete or not. With errNoLab it
// returns a lab that knows nothing but its place.
func load(name string) (*Cluster, error) {
	cache, err := build.Cache()
	if err != nil {
		return nil, err
	}
	c := &Cluster{name: name, dir: filepath.Join(cache, "labs", name)}
	content, err := os.ReadFile(c.recordFile())
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("%w by the name %q", errNoLab, name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the lab's record: %w", err)
	}
	if err := json.Unmarshal(content, &c.record); err != nil {
		return nil, fmt.Errorf("reading the lab's record: %w", err)
	}
	c.network = network.Network{Prefix: name, Nodes: c.Nodes()}
	return c, nil
}

func (c *Cluster) recordFile() string { return filepath.Join(c.dir, "lab.json") }

// save writes the record in one step, so that it is never half there.
func (c *Cluster) save() error {
	content, err := json.Marshal(c.record)
	if err != nil {
		return err
	}
	partial := c.recordFile() + ".partial"
	if err := os.WriteFile(partial, content, 0o600); err != nil {
		return fmt.Errorf("writing the lab's record: %w", err)
	}
	if err := os.Rename(partial, c.recordFile()); err != nil {
		return fmt.Errorf("writing the lab's record: %w", err)
	}
	return nil
}

// Nodes returns the names of the nodes, in order: node1, node2 and so on.
func (c *Cluster) Nodes() []string {
	var names []string
	for i := range c.record.Nodes {
		names = append(names, fmt.Sprintf("node%d", i+1))
	}
	return names
}

// Kubeconfig returns the file that makes its reader the cluster's
// administrator. The address in it can be reached only through Command.
func (c *Cluster) Kubeconfig() string { return c.state().Kubeconfig() }

func (c *Cluster) state() plane.State { return plane.State(filepath.Join(c.dir, "plane")) }

func (c *Cluster) plane() *plane.Cluster {
	return &plane.Cluster{
		State: c.state(), Bin: c.record.Plane, NodeBin: c.record.Cluster.Bin(), Network: c.network,
	}
}

func (c *Cluster) nodes() []node.Node {
	var nodes []node.Node
	for i, name := range c.Nodes() {
		nodes = append(nodes, node.Node{
			Name: name, Dir: filepath.Join(c.dir, name), Address: network.NodeAddress(i + 1),
			Namespace: c.network.Node(name), Bin: c.record.Cluster.Bin(), Images: c.record.Cluster.Images(),
		})
	}
	return nodes
}

func (c *Cluster) node(name string) (node.Node, error) {
	for _, n := range c.nodes() {
		if n.Name == name {
			return n, nil
		}
	}
	return node.Node{}, fmt.Errorf("there is no node %q: %s are", name, strings.Join(c.Nodes(), ", "))
}
