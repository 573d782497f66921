package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	embedded "github.com/kubectl-netdoctor/netdoctor"
	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// offer is the plan for a finding, or why there is none.
type offer struct {
	finding checks.Finding
	fix     *fixes.Fix
	plan    fixes.Plan
	err     error
}

// planFor makes the plan of the fix that --with names, or of the first that can be planned;
// where none can, the first says why.
func (o *fixCommand) planFor(ctx context.Context, look apply.Look, f checks.Finding) offer {
	var first *offer
	for _, fix := range fixes.For(f.Check) {
		if o.with != "" && fix.ID != o.with {
			continue
		}
		x := offer{finding: f, fix: fix}
		x.plan, x.err = o.plan(ctx, look.Snapshot, fix, f)
		if x.err == nil {
			return x
		}
		if first == nil {
			first = &x
		}
	}
	if first == nil {
		return offer{finding: f, fix: fixes.For(f.Check)[0], err: usage("--with %s: what cures %s is %s", o.with, f.Check.ID, fixNames(fixes.For(f.Check)))}
	}
	return *first
}

// plan makes the plan of one fix. An object that the snapshot keeps in part is read whole
// first.
func (o *fixCommand) plan(ctx context.Context, s *facts.Snapshot, fix *fixes.Fix, f checks.Finding) (fixes.Plan, error) {
	var last facts.Ref
	for {
		plan, err := fixes.Offer(s, fix, f, o.params)
		var part *fixes.InPartError
		if !errors.As(err, &part) || o.from != "" || part.Ref == last {
			return plan, err
		}
		if s, err = o.whole(ctx, s, part.Ref); err != nil {
			return plan, err
		}
		last = part.Ref
	}
}

// whole returns a snapshot that has an object as the cluster has it.
func (o *fixCommand) whole(ctx context.Context, s *facts.Snapshot, r facts.Ref) (*facts.Snapshot, error) {
	e, err := o.engine()
	if err != nil {
		return nil, err
	}
	out := *s
	switch r.Kind {
	case "Deployment":
		var d *appsv1.Deployment
		if d, err = e.client.AppsV1().Deployments(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{}); err == nil {
			out.Deployments = replaced(s.Deployments, d)
		}
	case "StatefulSet":
		var set *appsv1.StatefulSet
		if set, err = e.client.AppsV1().StatefulSets(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{}); err == nil {
			out.StatefulSets = replaced(s.StatefulSets, set)
		}
	case "EndpointSlice":
		var es *discoveryv1.EndpointSlice
		if es, err = e.client.DiscoveryV1().EndpointSlices(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{}); err == nil {
			out.EndpointSlices = slices.Clone(s.EndpointSlices)
			for i, known := range out.EndpointSlices {
				if known.Ref() == r {
					now := *known
					now.Whole, out.EndpointSlices[i] = es, &now
				}
			}
		}
	default:
		return nil, &fixes.InPartError{Ref: r}
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s whole: %w", r, err)
	}
	return &out, nil
}

func replaced[T metav1.Object](list []T, by T) []T {
	out := make([]T, len(list))
	for i, o := range list {
		out[i] = o
		if o.GetNamespace() == by.GetNamespace() && o.GetName() == by.GetName() {
			out[i] = by
		}
	}
	return out
}

const (
	manifestTime = 30 * time.Second
	manifestSize = 16 << 20
)

// readManifest reads what --manifest names, or what the catalogue has for --plugin, and
// checks its sum where the catalogue has one for that address.
func (o *fixCommand) readManifest(ctx context.Context) error {
	if o.params.Plugin != "" && plugins.Named(o.params.Plugin) == nil {
		return usage("--plugin %s: no plugin is called that; kubectl netdoctor plugins lists them", o.params.Plugin)
	}
	pinned := pinnedManifest(o.params.Plugin)
	from := o.manifest
	if from == "" {
		from = pinned.Manifest
	}
	if from == "" {
		return nil
	}
	data, err := fetch(ctx, from, o.env.In)
	if err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); from == pinned.Manifest && pinned.SHA256 != "" && got != pinned.SHA256 {
		return fmt.Errorf("the manifest at %s is not the one that plugins.yaml knows: its sha256 is %s, not %s; to take it all the same, save it and name the file", from, got, pinned.SHA256)
	}
	o.tell("Manifest: %s, sha256 %s", report.Clean(from), hex.EncodeToString(sum[:]))
	o.params.Manifest = string(data)
	return nil
}

// pin is where a plugin's manifest is, and its sum, "" where the catalogue has none.
type pin struct {
	Manifest string `json:"manifest"`
	SHA256   string `json:"sha256"`
}

// pinnedManifest returns what the catalogue has for a plugin: a manifest of its own, or the
// address in the command that installs it, if that is of one version for good.
func pinnedManifest(id string) pin {
	p := plugins.Named(id)
	if p == nil {
		return pin{}
	}
	var file struct {
		Plugins []struct {
			ID      string `json:"id"`
			Install pin    `json:"install"`
		} `json:"plugins"`
	}
	if err := yaml.Unmarshal(embedded.Plugins, &file); err != nil {
		return pin{} // it is not so: package plugins has parsed it
	}
	for _, entry := range file.Plugins {
		if entry.ID == id && entry.Install.Manifest != "" {
			return entry.Install
		}
	}
	address, found := strings.CutPrefix(p.Install.Command, "kubectl apply -f https://")
	if !found || strings.ContainsAny(address, " ") || strings.Contains(address, "/latest/") || strings.Contains(address, "/master/") || strings.Contains(address, "/main/") {
		return pin{}
	}
	return pin{Manifest: "https://" + address}
}

// fetch reads a file, an https address, or standard input for "-".
func fetch(ctx context.Context, from string, in io.Reader) ([]byte, error) {
	switch {
	case from == "-":
		return limited(in)
	case strings.HasPrefix(from, "http://"):
		return nil, usage("%s: only https is trusted with what is installed in a cluster; save it and name the file", from)
	case !strings.HasPrefix(from, "https://"):
		f, err := os.Open(from)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return limited(f)
	}
	ctx, cancel := context.WithTimeout(ctx, manifestTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", from, response.Status)
	}
	return limited(response.Body)
}

func limited(from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, manifestSize+1))
	if err == nil && len(data) > manifestSize {
		return nil, fmt.Errorf("it is larger than %d MiB", manifestSize>>20)
	}
	return data, err
}
