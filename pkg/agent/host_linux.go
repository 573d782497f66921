package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

const (
	// fileTime is how long one file or directory may take: one that lies on a server
	// that is gone would take for ever.
	fileTime = 3 * time.Second
	// makeTime is the same for what is made of many files or of the kernel's answers.
	makeTime = 15 * time.Second
	// mostRounds is how often a file may name a file that names another.
	mostRounds = 4
)

// Host looks at the node that it runs on, and never changes it. It reads what Reads says
// and nothing else, without secrets, and takes no longer than ctx: what was not read until
// then is a gap, as is what could not be read. Beside what was found stands, under
// host.Asked, what was looked for.
func Host(ctx context.Context, opts HostOptions) *Result {
	v := newVisit(opts)
	for _, m := range v.makers() {
		v.make(ctx, m)
	}
	for range mostRounds {
		for _, r := range Reads() {
			v.readAll(ctx, r)
		}
	}
	return v.result()
}

// visit is one look at a node while it goes on.
type visit struct {
	opts  HostOptions
	trees map[origin]tree
	found found
	gaps  map[string]string
	asked []string
	done  map[string]bool // patterns
	size  int
}

func newVisit(opts HostOptions) *visit {
	opts = opts.withDefaults()
	root := tree{dir: opts.Root}
	return &visit{
		opts: opts,
		trees: map[origin]tree{fromRoot: root, fromDir: root, fromLink: root,
			fromProc: {opts.Proc, true}, fromSys: {opts.Sys, true}},
		found: found{map[string]string{}, map[string]string{}, map[string]string{}},
		gaps:  map[string]string{},
		done:  map[string]bool{},
	}
}

func (v *visit) result() *Result {
	v.found.files[host.Asked] = strings.Join(v.asked, "\n") + "\n"
	return &Result{Version: ResultVersion, Node: v.opts.Node, Files: v.found.files, Gaps: v.gaps}
}

// await calls a function that may hang or panic. It then goes on without it: what it
// would have returned must not be shared with anything.
func await[T any](ctx context.Context, most time.Duration, f func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	done := make(chan answer, 1)
	late := answer{err: errors.New("was not read in time")}
	if ctx.Err() != nil {
		return late.value, late.err
	}
	go func() {
		var a answer
		defer func() {
			if p := recover(); p != nil {
				a.err = fmt.Errorf("the look failed: %.200v", p)
			}
			done <- a
		}()
		a.value, a.err = f()
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		return late.value, late.err
	}
}

// add takes a text over, if there is room.
func (v *visit) add(name, text string) {
	if v.size += len(text); v.size > mostTotalBytes {
		v.gaps[name] = fmt.Sprintf("everything together is larger than %d MiB", mostTotalBytes>>20)
		v.size -= len(text)
		return
	}
	v.found.files[name] = text
}

// readAll reads what a Look stands for by now and was not read yet.
func (v *visit) readAll(ctx context.Context, r Look) {
	if r.from == fromKernel {
		return
	}
	word := r.wordOf()
	values := []string{""}
	if word != "" {
		values = valuesOf(word, &v.found, v.opts)
	}
	for _, value := range values {
		r := r
		r.Pattern = strings.Replace(r.Pattern, "{"+word+"}", value, 1)
		if v.done[r.Pattern] {
			continue
		}
		v.done[r.Pattern] = true
		if strings.ContainsAny(r.Pattern, "*?") {
			v.readMatches(ctx, r)
			continue
		}
		v.readOne(ctx, r, r.Pattern)
		v.asked = append(v.asked, r.Pattern)
	}
}

// readMatches reads the files that fit a pattern, in which one name may have stars. It
// counts as asked only if all of them were looked at.
func (v *visit) readMatches(ctx context.Context, r Look) {
	at := strings.IndexAny(r.Pattern, "*?")
	dir := path.Dir(r.Pattern[:at] + "x")
	part, rest, _ := strings.Cut(strings.TrimPrefix(r.Pattern[len(dir):], "/"), "/")
	if strings.ContainsAny(rest, "*?") {
		v.gaps[dir] = fmt.Sprintf("%s is not looked for: it has stars in two names", r.Pattern)
		return
	}
	names, err := await(ctx, fileTime, func() ([]string, error) {
		names, more, err := v.trees[r.from].names(v.inTree(r, dir))
		if err == nil && more {
			err = fmt.Errorf("holds more than %d names", mostDirNames)
		}
		return names, err
	})
	if err != nil && !errors.Is(err, errAbsent) {
		v.gaps[dir] = err.Error()
		return
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		fits, err := path.Match(part, name)
		return err != nil || !fits || name != printable(name)
	})
	if rest != "" {
		v.podsLast(names)
	}
	if len(names) > mostDirFiles {
		v.gaps[dir] = fmt.Sprintf("of the %d that fit %s, %d were read", len(names), part, mostDirFiles)
	} else {
		v.asked = append(v.asked, r.Pattern)
	}
	for _, name := range names[:min(len(names), mostDirFiles)] {
		v.readOne(ctx, r, path.Join(dir, name, rest))
	}
}

// podsLast moves interfaces of pods, which there may be hundreds of, behind those of the
// node.
func (v *visit) podsLast(names []string) {
	var links []struct {
		Name string `json:"ifname"`
		Info struct {
			Kind string `json:"info_kind"`
		} `json:"linkinfo"`
	}
	if json.Unmarshal([]byte(v.found.files[addrFile]), &links) != nil {
		return
	}
	of := map[string]int{"all": -2, "default": -1}
	for _, link := range links {
		if link.Info.Kind == "veth" {
			of[link.Name] = 1
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return of[a] - of[b] })
}

// inTree is the path within the tree that a path of the host lies in.
func (v *visit) inTree(r Look, name string) string {
	switch r.from {
	case fromProc:
		return strings.TrimPrefix(name, "/proc")
	case fromSys:
		return strings.TrimPrefix(name, "/sys")
	case fromDir:
		return strings.TrimPrefix(name, "/ls")
	case fromLink:
		return strings.TrimPrefix(name, "/link")
	}
	return name
}

// readOne reads one file, one directory or one link.
func (v *visit) readOne(ctx context.Context, r Look, name string) {
	if strings.Contains(path.Base(name), "kubeconfig") {
		v.gaps[name] = "is not read: its name says that it holds credentials"
		return
	}
	if _, again := v.found.files[name]; again {
		return // two patterns fit it
	}
	type answer struct {
		text string
		cut  bool
	}
	a, err := await(ctx, fileTime, func() (a answer, err error) {
		a.text, a.cut, err = v.fetch(r, v.inTree(r, name))
		return a, err
	})
	switch {
	case errors.Is(err, errAbsent):
		return
	case err != nil:
		v.gaps[name] = err.Error()
		return
	case a.cut && r.from == fromDir:
		v.gaps[name] = fmt.Sprintf("holds more than the %d that are listed", mostDirFiles)
	case a.cut:
		v.gaps[name] = fmt.Sprintf("is larger than %d KiB: the rest is left out", mostFileBytes>>10)
	}
	if a.cut && r.whole {
		return
	}
	v.add(name, a.text)
	switch r.names {
	case ofRuntime:
		v.found.runtime[name] = a.text
	case ofKubelet:
		v.found.kubelet[name] = a.text
	}
}

// fetch reads by the kind of a Look. It shares nothing with the look.
func (v *visit) fetch(r Look, name string) (text string, cut bool, err error) {
	t := v.trees[r.from]
	switch r.from {
	case fromDir:
		return t.list(name)
	case fromLink:
		text, err = t.link(name)
		return text, false, err
	case fromSys: // where it is not mounted, no one can tell
		if _, _, err := t.names(path.Dir(name)); err != nil {
			return "", false, err
		}
	}
	if text, cut, err = t.read(name, mostFileBytes); err != nil {
		if r.from == fromSys && errors.Is(err, errAbsent) {
			err = errors.New("cannot be seen from a pod")
		}
		return "", false, err
	}
	keep := r.keep
	if keep == nil {
		keep = plain
	}
	text, err = keep(text)
	return text, cut, err
}
