package anonymity

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/anonymize"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// No name of a state is anywhere in its anonymised bundle, neither in the names of files nor
// in them; and of the addresses of all states few.
func TestNoNames(t *testing.T) {
	var kept, of atomic.Int32
	t.Cleanup(func() {
		if of.Load() < 1000 || kept.Load() > of.Load()/10 {
			t.Errorf("%d of %d addresses are left", kept.Load(), of.Load())
		}
	})
	everyState(t, func(t *testing.T, _ State, before, after []facts.File, a *anonymize.Anonymizer) {
		var all bytes.Buffer
		for _, f := range after {
			all.WriteString(f.Name + "\n" + string(f.Data) + "\n")
		}
		left := map[string]bool{}
		for _, word := range wordForm.FindAllString(escapes.ReplaceAllString(all.String(), " "), -1) {
			left[strings.ToLower(word)] = true
		}
		for name := range names(before) {
			for _, word := range wordForm.FindAllString(name, -1) {
				if word = strings.ToLower(word); len(word) > 2 && !a.WellKnown(word) && !digits.MatchString(word) && left[word] && !reasons[word] {
					t.Errorf("%q of %q is in it", word, name)
				}
			}
		}
		few, many := addresses(before, all.String())
		kept.Add(few)
		of.Add(many)
	})
}

var (
	wordForm = regexp.MustCompile(`[A-Za-z]+`)
	digits   = regexp.MustCompile(`^[a-f]+$`) // of numbers, of which others have as many
	escapes  = regexp.MustCompile(`\\+(u[0-9a-f]{4}|[abfnrtv])`)
)

// names returns what objects are called, what their labels say, and the hosts of nodes.
func names(files []facts.File) map[string]bool {
	out := map[string]bool{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name, ".json") || strings.HasPrefix(f.Name, "_") {
			continue
		}
		var list struct {
			Items []struct {
				Metadata struct {
					Namespace, Name string
					Labels          map[string]string
				}
				Spec struct {
					NodeName, ServiceAccountName string
					Selector                     any
					Containers                   []struct{ Name string }
				}
				Status struct {
					Addresses []struct{ Type, Address string }
				}
			}
		}
		if json.Unmarshal(f.Data, &list) != nil {
			continue
		}
		for _, o := range list.Items {
			out[o.Metadata.Name], out[o.Metadata.Namespace] = true, true
			out[o.Spec.NodeName], out[o.Spec.ServiceAccountName] = true, true
			for _, value := range o.Metadata.Labels {
				out[value] = true
			}
			for _, c := range o.Spec.Containers {
				out[c.Name] = true
			}
			for _, a := range o.Status.Addresses {
				if a.Type != "InternalIP" && a.Type != "ExternalIP" {
					out[a.Address] = true
				}
			}
		}
	}
	return out
}

// addresses returns how many of the private addresses of pods and nodes are in a text, of how
// many: one may stay by chance, or have become another's.
func addresses(before []facts.File, text string) (kept, of int32) {
	seen := map[string]bool{}
	for _, f := range before {
		if !strings.HasSuffix(f.Name, "nodes.json") && !strings.HasSuffix(f.Name, "pods.json") {
			continue
		}
		for _, literal := range addressForm.FindAllString(string(f.Data), -1) {
			addr, err := netip.ParseAddr(strings.Trim(literal, `"`))
			if err != nil || !addr.IsPrivate() || seen[literal] {
				continue
			}
			seen[literal] = true
			of++
			if strings.Contains(text, literal) {
				kept++
			}
		}
	}
	return kept, of
}

var addressForm = regexp.MustCompile(`"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+"`)

// reasons are words that events and addons are called by: they consist of well-known ones.
var reasons = map[string]bool{"ensureexists": true, "syncloadbalancerfailed": true, "failedtoupdateendpointslices": true, "allocationfailed": true}
