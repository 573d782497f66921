package anonymity

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/anonymize"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// No name of a state is anywhere in its anonymised bundle, neither in the names of files nor
// in them; and of the addresses of all states few.
func TestNoNames(t *testing.T) {
	kept, of := 0, 0
	each(t, func(v verdict) {
		for _, what := range v.left {
			t.Errorf("%s: %s", v.state, what)
		}
		kept, of = kept+v.kept, of+v.of
	})
	if of < 1000 && !testing.Short() || of == 0 || kept > of/10 {
		t.Errorf("%d of %d addresses are left", kept, of)
	}
}

func leaks(before, after []facts.File, a *anonymize.Anonymizer) []string {
	left := map[string]bool{}
	for _, f := range after {
		for _, word := range wordForm.FindAllString(f.Name+" "+escapes.ReplaceAllString(string(f.Data), " "), -1) {
			left[strings.ToLower(word)] = true
		}
	}
	var out []string
	for name := range names(before) {
		for _, word := range wordForm.FindAllString(name, -1) {
			if word = strings.ToLower(word); len(word) > 2 && !a.WellKnown(word) && !digits.MatchString(word) && left[word] && !reasons[word] {
				out = append(out, fmt.Sprintf("%q of %q is in it", word, name))
			}
		}
	}
	return out
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
func addresses(before, after []facts.File) (kept, of int) {
	var all strings.Builder
	for _, f := range after {
		all.Write(f.Data)
	}
	text := all.String()
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
