package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
)

func known() []*entry {
	show := map[string]*shown{}
	for _, c := range all.Checks() {
		show[c.ID] = &shown{}
	}
	return enter(all.Layers(), show)
}

// large is a graph of more checks than there are, in which each explains some later ones.
func large() []*entry {
	const layers, each = 8, 20
	var list []*checks.Check
	for i := range layers * each {
		list = append(list, &checks.Check{ID: fmt.Sprintf("check-number-%d", i), Title: "All is well", Severity: checks.Error})
	}
	for i, c := range list {
		for _, step := range []int{i%3 + 1, 3*(i%7) + 11, 97} {
			if i%4 != 0 && i+step < len(list) {
				c.Explains = append(c.Explains, list[i+step])
			}
		}
	}
	var out []all.Layer
	show := map[string]*shown{}
	for l := range layers {
		out = append(out, all.Layer{Name: fmt.Sprint(l), Title: fmt.Sprint("Layer ", l), Checks: list[l*each : (l+1)*each]})
	}
	return enter(out, show)
}

func TestLayOut(t *testing.T) {
	for name, entries := range map[string][]*entry{"the checks": known(), "many": large()} {
		t.Run(name, func(t *testing.T) {
			g := layOut(entries)
			var boxes []*box
			for _, band := range g.bands {
				boxes = append(boxes, slices.Concat(band.left, band.right)...)
				bounded(t, g, band)
			}
			if len(boxes) != len(entries) {
				t.Errorf("%d boxes for %d checks", len(boxes), len(entries))
			}
			for i, a := range boxes {
				for _, b := range boxes[:i] {
					if abs(a.x-b.x) < g.boxWidth && abs(a.y-b.y) < boxHeight {
						t.Errorf("the boxes of %s and %s overlap", a.ID, b.ID)
					}
				}
			}
			for i, a := range g.tracks {
				for _, b := range g.tracks[:i] {
					if a.x == b.x && a.top <= b.bottom && b.top <= a.bottom {
						t.Errorf("the tracks of %s and %s run into each other", a.to.ID, b.to.ID)
					}
				}
			}
		})
	}
}

func bounded(t *testing.T, g *graph, band *band) {
	t.Helper()
	for _, b := range slices.Concat(band.left, band.right) {
		if b.x < 0 || b.x+g.boxWidth > g.width || b.y < band.y+head || b.y+boxHeight > band.y+band.height || band.y+band.height > g.height {
			t.Errorf("%s stands outside of its band, or the band outside of the picture", b.ID)
		}
		for _, tr := range g.tracks {
			if b.x <= tr.x+joint && tr.x-joint <= b.x+g.boxWidth {
				t.Errorf("the track of %s runs through the boxes", tr.to.ID)
			}
		}
	}
}

func abs(n int) int { return max(n, -n) }

// drawn is what a picture holds.
type drawn struct {
	titles, texts, edges []string
}

func read(t *testing.T, picture []byte) drawn {
	t.Helper()
	var out drawn
	var path []string
	for d := xml.NewDecoder(bytes.NewReader(picture)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			path = append(path, token.Name.Local)
			if slices.ContainsFunc(token.Attr, func(a xml.Attr) bool { return a.Name.Local == "class" && a.Value == "edge" }) {
				path[len(path)-1] = "edge"
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			switch joined := strings.Join(path, " "); {
			case strings.HasSuffix(joined, "edge title"):
				out.edges = append(out.edges, string(token))
			case strings.HasSuffix(joined, "title"):
				out.titles = append(out.titles, string(token))
			case strings.HasSuffix(joined, "text"):
				out.texts = append(out.texts, string(token))
			}
		}
	}
}

func TestDrawing(t *testing.T) {
	entries := known()
	picture := drawing(layOut(entries))
	got := read(t, picture)
	var edges []string
	for _, e := range entries {
		if !slices.Contains(got.texts, e.ID) {
			t.Errorf("no box names %s", e.ID)
		}
		if !slices.ContainsFunc(got.titles, func(title string) bool {
			return strings.HasPrefix(title, fmt.Sprintf("%s (%s): %s", e.ID, e.Severity, e.Title))
		}) {
			t.Errorf("no box has the title of %s", e.ID)
		}
		for _, symptom := range e.Explains {
			edges = append(edges, e.ID+" explains "+symptom.ID)
		}
	}
	slices.Sort(edges)
	slices.Sort(got.edges)
	if !slices.Equal(edges, got.edges) {
		t.Errorf("edges drawn:\n%s\nedges there are:\n%s", strings.Join(got.edges, "\n"), strings.Join(edges, "\n"))
	}
	if !bytes.Contains(picture, []byte("@media (prefers-color-scheme: dark)")) {
		t.Error("the picture is for light backgrounds alone")
	}
	if again := drawing(layOut(known())); !bytes.Equal(picture, again) {
		t.Error("drawn twice, the picture differs")
	}
}

// An id has no such characters; nothing relies on it.
func TestDrawingIsEscaped(t *testing.T) {
	const hostile = `a<b>&"'</svg>`
	symptom := &checks.Check{ID: hostile + "2", Title: hostile, Severity: checks.Error}
	c := &checks.Check{ID: hostile, Title: hostile, Severity: checks.Error, Explains: []*checks.Check{symptom}}
	got := read(t, drawing(layOut(enter([]all.Layer{{Name: "l", Title: hostile, Checks: []*checks.Check{c, symptom}}}, nil))))
	if !slices.Contains(got.texts, hostile) || !slices.Contains(got.edges, hostile+" explains "+hostile+"2") {
		t.Errorf("got %q", got)
	}
}
