package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/probe"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// deep says how pods look, at the depths that start some.
type deep struct {
	nodes      []string
	image      string
	pullSecret string
	filesOnly  bool // no traffic is tried
}

func (d *deep) addFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&d.nodes, "nodes", nil, "with --depth probe or host: the nodes to look at; without it all, of which ten try traffic")
	d.addImageFlags(fs, "with --depth probe or host")
}

// addImageFlags adds those that say what pods run.
func (d *deep) addImageFlags(fs *pflag.FlagSet, when string) {
	fs.StringVar(&d.image, "image", podImage(), when+": the image of the pods")
	fs.StringVar(&d.pullSecret, "image-pull-secret", "", when+": NAMESPACE/NAME of the Secret to pull it with, which is copied for as long as the pods live; it takes get on it, and create and delete on Secrets of namespace "+probe.Namespace)
}

func (d *deep) valid() error {
	if parts := strings.Split(d.pullSecret, "/"); d.pullSecret != "" && (len(parts) != 2 || parts[0] == "" || parts[1] == "") {
		return usage("--image-pull-secret %s: must be NAMESPACE/NAME", d.pullSecret)
	}
	if strings.TrimSpace(d.image) == "" {
		return usage("--image: must not be empty")
	}
	return nil
}

// deepen lets pods look, where the depth and what is asked for take it.
func (c *cluster) deepen(ctx context.Context, config *rest.Config, s *facts.Snapshot, sources []*facts.Source, depth facts.Depth, how reading, progress *progress) (*facts.Snapshot, error) {
	asked := slices.ContainsFunc(sources, func(src *facts.Source) bool { return src == facts.Tries || src == facts.Files })
	if depth < facts.Probe || !asked {
		return s, nil
	}
	if depth >= facts.Host && !slices.Contains(sources, facts.Files) {
		depth = facts.Probe
	}
	out, err := probe.Run(ctx, config, s, probe.Options{
		Depth: depth, Image: how.image, PullSecret: how.pullSecret, Nodes: how.nodes, FilesOnly: how.filesOnly, OutsideName: how.outsideName(), Progress: progress.show,
		Warn: func(what string) {
			progress.clear()
			fmt.Fprintln(c.env.ErrOut, "warning: "+report.Clean(what))
		},
	})
	if err != nil {
		return nil, usage("%w", err)
	}
	return out, nil
}
