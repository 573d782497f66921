package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"slices"

	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
)

// cluster is what every command that talks to one shares.
type cluster struct {
	env     Env
	flags   *genericclioptions.ConfigFlags
	noColor bool
}

func newCluster(env Env) *cluster {
	return &cluster{env: env, flags: genericclioptions.NewConfigFlags(true)}
}

func (c *cluster) addFlags(fs *pflag.FlagSet) {
	c.flags.AddFlags(fs)
	fs.BoolVar(&c.noColor, "no-color", false, "no colours, even on a terminal (also: NO_COLOR)")
}

// colored tells whether stdout takes colours (https://no-color.org).
func (c *cluster) colored() bool {
	return c.env.ShowOut && !c.noColor && c.env.Getenv("NO_COLOR") == ""
}

// config returns the client configuration, its errors in one line with what to do.
func (c *cluster) config() (*rest.Config, error) {
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w (kubectl config get-contexts lists the contexts)", err)
	}
	config.UserAgent = "kubectl-netdoctor/" + versionText()
	return config, nil
}

// contextName returns the kubeconfig context in use, or "".
func (c *cluster) contextName() string {
	if *c.flags.Context != "" {
		return *c.flags.Context
	}
	raw, err := c.flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return ""
	}
	return raw.CurrentContext
}

// namespace returns the namespace that was given explicitly; the one of the context
// does not limit an examination.
func (c *cluster) namespace() string { return *c.flags.Namespace }

// collectAt is by how many percent the heap may grow before the garbage is collected. A
// large cluster's facts fill the heap once, and what comes in is limited by the API
// server: a tenth more of our processor time saves a third of the memory.
const collectAt = 20

// live reads the cluster.
func (c *cluster) live(ctx context.Context, list []*checks.Check, depth facts.Depth, how reading, record *facts.Recorder) (*facts.Snapshot, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	if c.env.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	progress := newProgress(c.env)
	defer progress.clear()
	bounded, cancel := context.WithTimeout(ctx, how.within(depth))
	defer cancel()
	var reads reads
	sources := sourcesFor(list, record != nil)
	s, err := gather.Live(bounded, config, gather.Options{
		Sources: sources, Depth: depth, Namespace: c.namespace(),
		Now: c.env.Now(), Record: record, Progress: progress.show, Trace: reads.add,
		AllNodes: how.allNodes, Consistent: how.consistent, Apart: how.window, OutsideName: how.outsideName(),
	})
	if err == nil {
		s, err = c.deepen(bounded, config, s, sources, depth, how, progress)
	}
	progress.clear()
	if how.verbose > 0 {
		reads.tell(c.env.ErrOut)
	}
	if ctx.Err() != nil {
		return nil, errors.New("interrupted; nothing was changed")
	}
	var misuse *exit
	if errors.As(err, &misuse) {
		return nil, err
	}
	if err != nil {
		return nil, c.unreachable(config, err)
	}
	return s, nil
}

// unreachable says in one line which cluster could not be asked, why, and what to do.
func (c *cluster) unreachable(config *rest.Config, err error) error {
	where := fmt.Sprintf("%s (context %q)", config.Host, c.contextName())
	if c.contextName() == "" {
		where = config.Host + " (no kubeconfig names a context)"
	}
	var request *url.Error
	switch {
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s does not accept your credentials: %w; log in again", where, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer from %s in time; check the address and kubectl config get-contexts, or give it longer with --timeout", where)
	case errors.As(err, &request):
		err = request.Err // it names the address once more
	}
	return fmt.Errorf("no cluster at %s: %w; check the address and kubectl config get-contexts", where, err)
}

// sourcesFor returns what the checks read, and what must be known to read that.
func sourcesFor(list []*checks.Check, all bool) []*facts.Source {
	if all {
		return facts.Sources()
	}
	need := map[*facts.Source]bool{}
	for _, c := range list {
		for _, src := range slices.Concat(c.Needs, c.MayUse) {
			need[src] = true
		}
	}
	if need[facts.PodLogs] || need[facts.Proxy] || need[facts.Metrics] || need[facts.Answers] || need[facts.ConfigMaps] {
		need[facts.SystemPods] = true
	}
	if need[facts.Answers] {
		need[facts.SystemServices] = true
	}
	if need[facts.Configz] || need[facts.Files] {
		need[facts.Nodes] = true
	}
	if need[facts.Tries] {
		for _, src := range []*facts.Source{facts.Nodes, facts.SystemPods, facts.SystemServices, facts.SystemEndpointSlices} {
			need[src] = true
		}
	}
	var out []*facts.Source
	for _, src := range facts.Sources() {
		for part := range need {
			if part.Whole == src && !need[src] {
				out = append(out, part)
			}
		}
		if need[src] {
			out = append(out, src)
		}
	}
	return out
}
