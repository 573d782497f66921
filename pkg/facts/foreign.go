package facts

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// addDumpLog reads logs.txt as kubectl cluster-info dump writes it: the containers one
// after another, each between a START and an END line that name it (k8s.io/kubectl,
// pkg/cmd/clusterinfo). The END line follows a log's last byte, be that a newline or
// not.
func (r *reader) addDumpLog(namespace, pod string, body io.Reader) error {
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	r.seen[PodLogs] = true
	const start, end = "==== START logs for container ", "==== END logs for container "
	for rest := string(text); rest != ""; {
		line, after, found := strings.Cut(rest, "\n")
		of, ok := strings.CutPrefix(line, start)
		container, _, named := strings.Cut(of, " of pod ")
		if !found || !ok || !named {
			return errors.New("not what cluster-info dump writes: no START line where one belongs")
		}
		log, after, found := strings.Cut(after, end+of+"\n")
		if !found {
			return fmt.Errorf("truncated: no END line for container %s", container)
		}
		if err := r.addDumped(namespace, pod, container, log); err != nil {
			return err
		}
		rest = after
	}
	return nil
}

// addDumped keeps one container's log. Where the dump could not read it, it wrote the
// error instead; that a container has not started yet is no gap, it has no log.
func (r *reader) addDumped(namespace, pod, container, log string) error {
	for _, failed := range []string{"Request log error: ", "Create log request error: "} {
		why, ok := strings.CutPrefix(log, failed)
		switch {
		case !ok:
		case strings.Contains(why, "is waiting to start"):
			return nil
		default:
			r.b.Gap(PodLogs, namespace+"/"+pod, strings.TrimSpace(why))
			return nil
		}
	}
	log = tail(log)
	r.b.AddLog(namespace, pod, container, Log{Current: log})
	return r.keep(len(log))
}

// finishForeign completes a directory that kubectl cluster-info dump wrote: what is
// absent was not read. The dump stops at its first error, so a list that only some
// namespaces have is not known either.
func (r *reader) finishForeign() (*Snapshot, error) {
	if !r.seen[Nodes] && !r.seen[Pods] {
		return nil, errors.New("neither bundle.json nor the nodes.json and pods.json of a kubectl cluster-info dump are in it")
	}
	s := r.b.s
	for _, src := range Sources() {
		switch ns := r.lacking(src); {
		case !r.seen[src]:
			s.Gaps[src.Name] = "kubectl cluster-info dump does not write it"
		case ns != "":
			s.Gaps[src.Name] = "the dump does not hold those of namespace " + ns
			s.drop(src)
		}
	}
	s.Depth, s.Scope = Logs, r.onlyNamespace()
	for _, p := range s.Pods {
		s.Taken = later(s.Taken, p.Created.Time())
		for _, c := range p.Containers {
			s.Taken = later(later(s.Taken, c.State.Started.Time()), c.Last().Finished.Time())
		}
	}
	for _, e := range s.Events {
		s.Taken = later(s.Taken, e.Seen.Time())
	}
	return r.b.Build(), nil
}

// lacking returns the first namespace that a list of the source is missing for while
// others are there, or "".
func (r *reader) lacking(src *Source) string {
	if !src.Namespaced {
		return ""
	}
	for _, ns := range slices.Sorted(maps.Keys(r.lists)) {
		if !r.lists[ns][src] {
			return ns
		}
	}
	return ""
}

// onlyNamespace returns the one namespace that a dump without --all-namespaces holds
// beside the network stack's own, or "". Every cluster has kube-public as well.
func (r *reader) onlyNamespace() string {
	only := ""
	for ns := range r.lists {
		switch {
		case SystemNamespace(ns):
		case only != "":
			return ""
		default:
			only = ns
		}
	}
	return only
}

func later(a, b time.Time) time.Time {
	if b.After(a) && writable(b) {
		return b
	}
	return a
}
