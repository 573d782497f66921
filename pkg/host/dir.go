package host

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Entry is one thing that a directory of a node holds.
type Entry struct {
	Type   byte  // - a file, d a directory, l a link, anything else something else
	Size   int64 // in bytes; 0 where it is not known
	Name   string
	Target string // where a link leads
}

// String returns the entry as the listing has it: "- 292 10-flannel.conflist".
func (e Entry) String() string {
	text := fmt.Sprintf("%c %d %s", e.Type, e.Size, e.Name)
	if e.Target != "" {
		text += " -> " + e.Target
	}
	return text
}

// Dir returns what a directory holds, by name. Unknown says why that is not known, or not
// in full, or that the listing makes no sense; it is "" where it is certain that there is no
// such directory, too.
func (v View) Dir(dir string) (entries []Entry, unknown string) {
	listing := "/ls" + dir
	text, found := v.Read(listing)
	if why := cmp.Or(v.gap(listing), v.gap(dir)); why != "" {
		return nil, dir + ": " + why
	}
	if !found && !v.Absent(listing) {
		return nil, dir + ": " + v.Unknown(listing)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		e, ok := parseEntry(line)
		if !ok && line != "" {
			return nil, fmt.Sprintf("%s: its listing has the line %.80q, which is none", dir, line)
		}
		if ok {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	return entries, ""
}

func parseEntry(line string) (Entry, bool) {
	kind, rest, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
	size, name, found := strings.Cut(strings.TrimLeft(rest, " "), " ")
	bytes, err := strconv.ParseInt(size, 10, 64)
	if !found || len(kind) != 1 || !strings.Contains("-dl?", kind) || err != nil || bytes < 0 || name == "" || strings.Contains(name, "/") && kind != "l" {
		return Entry{}, false
	}
	e := Entry{Type: kind[0], Size: bytes, Name: name}
	if e.Type == 'l' {
		e.Name, e.Target, _ = strings.Cut(name, " -> ")
	}
	return e, true
}

// gap returns what hindered the look at a path, or "".
func (v View) gap(name string) string { return v.s.Gaps[facts.Files.Name+"/"+v.node+name] }

// gapUnder returns what hindered the look at some path below a directory, with that path,
// or "".
func (v View) gapUnder(dir string) string {
	return v.firstGap(func(name string) bool { return strings.HasPrefix(name, dir+"/") })
}

// gapFitting returns what hindered the look at some path that fits a pattern, with that
// path, or "".
func (v View) gapFitting(pattern string) string {
	if !strings.ContainsAny(pattern, "*?[") {
		return ""
	}
	return v.firstGap(func(name string) bool {
		fits, err := path.Match(pattern, name)
		return fits && err == nil
	})
}

// firstGap returns the gap at the first path that is wanted, with that path, or "".
func (v View) firstGap(wanted func(name string) bool) string {
	of := facts.Files.Name + "/" + v.node
	first := ""
	for at := range v.s.Gaps {
		if name, is := strings.CutPrefix(at, of); is && strings.HasPrefix(name, "/") && wanted(name) && (first == "" || name < first) {
			first = name
		}
	}
	if first == "" {
		return ""
	}
	return first + ": " + v.gap(first)
}
