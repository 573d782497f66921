package main

import (
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
)

// The measures of the picture, in pixels.
const (
	margin     = 16
	wordHeight = 19 // of a line of the words above the first band
	head       = 32 // height of a band's title
	foot       = 6  // below a band's last row
	row        = 28 // from one box to the next below it
	boxHeight  = 22
	textWidth  = 7.85 // of a character; the fonts are monospaced
	badge      = 8    // radius of a track's number
	trackGap   = 24
	joint      = 8 // radius where a line joins a track
)

// graph is the picture of what explains what, laid out. Each layer is a band. On the left of a
// band stand the checks that nothing explains, on the right those that something does, and
// what neither explains nor is explained stands where there is room. All causes of a
// symptom join one vertical track, which ends at the symptom's box.
type graph struct {
	width, height, boxWidth int
	bands                   []*band
	tracks                  []*track
}

type band struct {
	title       string
	y, height   int
	left, right []*box
}

type box struct {
	*entry
	x, y  int
	right bool
	joins []*track // of the symptoms that it explains
	own   *track   // of its causes; nil where there are none
}

// track is where the causes of one symptom meet.
type track struct {
	number      int
	to          *box
	from        []*box
	top, bottom int // of the part that is drawn
	column, x   int // tracks that do not meet share a column
}

// alone tells whether a box has no edge.
func (b *box) alone() bool { return len(b.joins) == 0 && b.own == nil }

// The heights at which lines leave and reach boxes differ between the two sides, so that
// lines of one row do not run into each other.
func (b *box) out() int {
	if b.right {
		return b.y + boxHeight - 6
	}
	return b.y + boxHeight/2
}

func (b *box) in() int { return b.y + 6 }

// layOut depends on the checks and their order alone.
func layOut(entries []*entry) *graph {
	g := &graph{}
	boxes := map[*checks.Check]*box{}
	for _, e := range entries {
		boxes[e.Check] = &box{entry: e}
		g.boxWidth = max(g.boxWidth, wide(e.ID)+2*badge+22)
	}
	g.connect(entries, boxes)
	g.stack(entries, boxes)
	g.route()
	columns := 0
	for _, t := range g.tracks {
		columns = max(columns, t.column+1)
	}
	first := margin + g.boxWidth + 2*trackGap
	right := first + columns*trackGap + trackGap
	g.width = right + g.boxWidth + margin
	for _, line := range words() {
		g.width = max(g.width, wide(line)+2*margin)
	}
	for _, t := range g.tracks {
		t.x = first + t.column*trackGap
	}
	for _, b := range g.bands {
		place(b.left, margin)
		place(b.right, right)
	}
	return g
}

func place(list []*box, x int) {
	for _, b := range list {
		b.x = x
	}
}

// wide is the width of a text in pixels.
func wide(text string) int { return int(textWidth * float64(len(text))) }

// connect makes the tracks, numbered in the order of their symptoms.
func (g *graph) connect(entries []*entry, boxes map[*checks.Check]*box) {
	for _, e := range entries {
		if len(e.causes) == 0 {
			continue
		}
		t := &track{number: len(g.tracks) + 1, to: boxes[e.Check]}
		t.to.own = t
		for _, c := range e.causes {
			from := boxes[c]
			t.from = append(t.from, from)
			from.joins = append(from.joins, t)
		}
		g.tracks = append(g.tracks, t)
	}
}

// stack puts the boxes into the bands, and the bands below each other.
func (g *graph) stack(entries []*entry, boxes map[*checks.Check]*box) {
	y := len(words())*wordHeight + margin + foot
	for len(entries) > 0 {
		layer := entries[0].layer
		n := slices.IndexFunc(entries, func(e *entry) bool { return e.layer.Name != layer.Name })
		if n < 0 {
			n = len(entries)
		}
		b := &band{title: layer.Title, y: y}
		for _, e := range entries[:n] {
			b.add(boxes[e.Check])
		}
		for _, e := range entries[:n] {
			b.addAlone(boxes[e.Check])
		}
		rows := max(len(b.left), len(b.right))
		b.height = head + rows*row + foot
		y += b.height
		g.bands, entries = append(g.bands, b), entries[n:]
	}
	g.height = y + margin
}

func (b *band) add(box *box) {
	switch {
	case box.own != nil:
		b.putRight(box)
	case !box.alone():
		b.putLeft(box)
	}
}

// addAlone puts a box without edges into the shorter column.
func (b *band) addAlone(box *box) {
	switch {
	case !box.alone():
	case len(b.right) <= len(b.left):
		b.putRight(box)
	default:
		b.putLeft(box)
	}
}

func (b *band) putLeft(box *box) {
	box.y = b.y + head + len(b.left)*row
	b.left = append(b.left, box)
}

func (b *band) putRight(box *box) {
	box.right = true
	box.y = b.y + head + len(b.right)*row
	b.right = append(b.right, box)
}

// beside tells whether a cause stands in the same row as the symptom, so that its line
// crosses the track's column almost straight.
func (t *track) beside(from *box) bool {
	return !from.right && max(from.out()-t.to.in(), t.to.in()-from.out()) < 2*joint
}

// route finds the tracks' columns: as few as will do, in an order in which few lines cross.
func (g *graph) route() {
	columns := 0
	for _, t := range g.tracks {
		t.top, t.bottom = t.to.in(), t.to.in()
		for _, from := range t.from {
			if !t.beside(from) {
				t.top, t.bottom = min(t.top, from.out()), max(t.bottom, from.out())
			}
		}
	}
	byTop := slices.SortedStableFunc(slices.Values(g.tracks), func(a, b *track) int { return a.top - b.top })
	for i, t := range byTop {
		for slices.ContainsFunc(byTop[:i], func(before *track) bool { return before.column == t.column && before.bottom+2*joint >= t.top }) {
			t.column++
		}
		columns = max(columns, t.column+1)
	}
	g.untangle(columns)
}

// untangle exchanges columns for as long as that leaves fewer crossings.
func (g *graph) untangle(columns int) {
	fewest := g.crossings()
	for better := true; better; {
		better = false
		for a := range columns {
			for b := range a {
				g.exchange(a, b)
				if now := g.crossings(); now < fewest {
					fewest, better = now, true
				} else {
					g.exchange(a, b)
				}
			}
		}
	}
}

func (g *graph) exchange(a, b int) {
	for _, t := range g.tracks {
		switch t.column {
		case a:
			t.column = b
		case b:
			t.column = a
		}
	}
}

// crossings counts where a line crosses a track that it does not join.
func (g *graph) crossings() int {
	count := 0
	for _, band := range g.bands {
		for _, b := range slices.Concat(band.left, band.right) {
			if len(b.joins) > 0 {
				far := b.farthest().column
				count += g.crossed(b.out(), b.right, far, b.joins)
			}
			if b.own != nil {
				count += g.crossed(b.in(), true, b.own.column, nil)
			}
		}
	}
	return count
}

// crossed counts the tracks between a column and the boxes of one side at a height.
func (g *graph) crossed(y int, right bool, column int, joined []*track) int {
	count := 0
	for _, t := range g.tracks {
		between := t.column < column
		if right {
			between = t.column > column
		}
		if between && t.top < y && y < t.bottom && !slices.Contains(joined, t) {
			count++
		}
	}
	return count
}

// farthest is the track up to which the line out of a box runs.
func (b *box) farthest() *track {
	return slices.MaxFunc(b.joins, func(x, y *track) int {
		if b.right {
			x, y = y, x
		}
		return x.column - y.column
	})
}
