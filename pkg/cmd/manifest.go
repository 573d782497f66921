package cmd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

const (
	manifestTime = 30 * time.Second // or --timeout, where that is less
	manifestSize = 16 << 20
	redirects    = 10
)

var sumForm = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// validManifest looks at the flags that say what is installed, before anything is read.
func (o *fixCommand) validManifest() error {
	switch {
	case o.params.Plugin != "" && plugins.Named(o.params.Plugin) == nil:
		return usage("--plugin %s: no plugin is called that; kubectl netdoctor plugins lists them", o.params.Plugin)
	case o.manifestSum != "" && !sumForm.MatchString(o.manifestSum):
		return usage("--manifest-sha256 %s: must be 64 hexadecimal digits, as sha256sum prints them", o.manifestSum)
	case o.manifestSum != "" && o.manifest == "" && o.params.Plugin == "":
		return usage("--manifest-sha256 needs --manifest or --plugin")
	}
	return nil
}

// readNamed reads what --manifest names, at once: a mistake in it shows before a cluster is
// asked.
func (o *fixCommand) readNamed(ctx context.Context) error {
	if o.manifest == "" {
		return nil
	}
	var pinned plugins.Manifest
	if p := plugins.Named(o.params.Plugin); p != nil && p.Install.Manifest.URL == o.manifest {
		pinned = p.Install.Manifest
	}
	return o.readManifest(ctx, o.manifest, pinned)
}

// sum is what the sha256 of a manifest must be, who says so, and what to do where it is
// another one.
type sum struct{ hex, by, remedy string }

// readManifest reads a manifest for the plans to come. One whose sum is not what it must be
// is not read any further.
func (o *fixCommand) readManifest(ctx context.Context, from string, pinned plugins.Manifest) error {
	var known []sum
	if pinned.SHA256 != "" {
		known = append(known, sum{pinned.SHA256, "plugins.yaml", "To install it all the same, save it, read it and name the file with --manifest"})
	}
	if o.manifestSum != "" {
		known = append(known, sum{strings.ToLower(o.manifestSum), "--manifest-sha256", "Compare both with what its makers published"})
	}
	data, err := o.fetch(ctx, from, len(known) > 0)
	if err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return fmt.Errorf("reading the manifest: %s is empty", shown(from))
	}
	digest := sha256.Sum256(data)
	got := hex.EncodeToString(digest[:])
	for _, k := range known {
		if got != k.hex {
			return fmt.Errorf("the manifest %s is not the one of %s: its sha256 is %s, not %s; nothing was changed. %s", shown(from), k.by, got, k.hex, k.remedy)
		}
	}
	o.params.Manifest, o.params.Origin = string(data), origin(from, pinned.Version, got, known)
	if o.output != "diff" { // which shows it with the plan
		o.tell("Manifest: %s", report.Clean(o.params.Origin))
	}
	return nil
}

// origin tells where a manifest was read, its sum, and who has the same.
func origin(from, version, got string, known []sum) string {
	text := shown(from)
	if version != "" {
		text += " (" + version + ")"
	}
	text += ", sha256 " + got
	if len(known) == 0 && isWeb(from) {
		return text + ", compared with nothing: see that it is what its makers published (--manifest-sha256)"
	}
	for i, k := range known {
		text += []string{", as in ", " and "}[i] + k.by
	}
	return text
}

// isWeb tells an address from a file.
func isWeb(from string) bool { return hasScheme(from, "https") || hasScheme(from, "http") }

func hasScheme(from, scheme string) bool {
	before, _, found := strings.Cut(from, ":")
	return found && strings.EqualFold(before, scheme)
}

// shown is a file or address as it may be told.
func shown(from string) string {
	if from == "-" {
		return "on standard input"
	}
	return bare(from)
}

// bare is an address without what stands before its host: a name, a password, a token. Where
// no host can be made out, all up to the last @ may be one. A file is what it was.
func bare(from string) string {
	if !isWeb(from) && !strings.Contains(from, "://") {
		return from
	}
	u, err := url.Parse(from)
	switch {
	case err == nil && u.Host != "" && u.User == nil:
		return from
	case err == nil && u.Host != "":
		u.User = nil
		return u.String()
	}
	scheme, rest, _ := strings.Cut(from, ":")
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		return scheme + "://" + rest[at+1:]
	}
	return from
}

// fetch reads a file, an address, or standard input for "-". Whoever stands on the way of
// plain http may change what comes, so that is read only where its sum is known.
func (o *fixCommand) fetch(ctx context.Context, from string, summed bool) ([]byte, error) {
	if !isWeb(from) {
		return o.local(ctx, from)
	}
	if hasScheme(from, "http") && !summed {
		return nil, usage("%s: only https is trusted with what is installed in a cluster; give its sum with --manifest-sha256, or save it and name the file", shown(from))
	}
	longest := min(o.within(facts.Logs), manifestTime)
	bounded, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	data, err := o.get(bounded, from, summed)
	var request *url.Error
	switch {
	case err == nil && bounded.Err() == nil: // what came as time ran out may be half of it
		return data, nil
	case ctx.Err() != nil:
		return nil, errInterrupted
	case bounded.Err() != nil:
		err = fmt.Errorf("not all of it came within %s", longest)
	case errors.As(err, &request):
		err = request.Err // it names the address once more
	}
	return nil, fmt.Errorf("%s: %w; save it from where it can be reached and name the file with --manifest", shown(from), err)
}

func (o *fixCommand) get(ctx context.Context, from string, summed bool) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil { // which may quote a password
		if _, err := url.Parse(bare(from)); err != nil {
			return nil, err
		}
		return nil, errors.New("that is no address; what is special in a name or a password is written as %XX in one")
	}
	request.Header.Set("User-Agent", "kubectl-netdoctor/"+versionText())
	client := http.Client{Transport: o.env.Web, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		switch {
		case len(via) >= redirects:
			return fmt.Errorf("it goes on to another address more than %d times", redirects)
		case next.URL.Scheme != "https" && !summed:
			return fmt.Errorf("it goes on to %s, and only https is trusted with what is installed in a cluster", bare(next.URL.String()))
		}
		return nil
	}}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", response.Status)
	}
	return limited(response.Body)
}

// local reads a file or standard input. Either may be a pipe that nobody writes to, and a
// read of one cannot be ended: who waits no longer leaves it behind.
func (o *fixCommand) local(ctx context.Context, from string) ([]byte, error) {
	type content struct {
		data []byte
		err  error
	}
	read := make(chan content, 1)
	go func() {
		data, err := o.readLocal(from)
		read <- content{data, err}
	}()
	most := o.within(facts.Logs)
	late := time.NewTimer(most)
	defer late.Stop()
	select {
	case <-ctx.Done():
		return nil, errInterrupted
	case <-late.C:
		return nil, fmt.Errorf("%s: not all of it came within %s (--timeout)", shown(from), most)
	case c := <-read:
		return c.data, c.err
	}
}

func (o *fixCommand) readLocal(from string) ([]byte, error) {
	if from == "-" {
		return limited(o.env.In)
	}
	f, err := os.Open(from)
	var refused *fs.PathError
	if errors.As(err, &refused) {
		refused.Path = shown(from) // which may be an address that is written wrong
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return limited(f)
}

func limited(from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, manifestSize+1))
	if err == nil && len(data) > manifestSize {
		return nil, fmt.Errorf("it is larger than %d MiB", manifestSize>>20)
	}
	return data, err
}
