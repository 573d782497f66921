package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
)

// palette is how many colours tracks have; those of neighbours differ.
const palette = 8

// style gives the picture its colours, by light and by dark.
const style = `text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328 }
.ground, .number { fill: #ffffff }
.title { font-weight: bold; font-size: 14px }
.number { font-size: 10px; text-anchor: middle }
.rule { stroke: #d0d7de }
.box rect { fill: #f6f8fa; stroke: #818b98 }
.box.alone rect { fill: none; stroke-dasharray: 3 2 }
.line { fill: none; stroke: #818b98 }
.track path { fill: none; stroke: currentColor; stroke-width: 2 }
.track .halo { stroke: #ffffff; stroke-width: 6 }
.track circle, .track polygon { fill: currentColor; stroke: none }
.track:hover path:not(.halo) { stroke-width: 4 }
.box:hover rect, .box:hover .line { stroke-width: 3 }
.c0 { color: #0969da } .c1 { color: #bc4c00 } .c2 { color: #1a7f37 } .c3 { color: #8250df }
.c4 { color: #bf3989 } .c5 { color: #0b7285 } .c6 { color: #866000 } .c7 { color: #cf222e }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.ground, .number { fill: #0d1117 }
.rule { stroke: #30363d }
.box rect { fill: #161b22; stroke: #8b949e }
.line { stroke: #8b949e }
.track .halo { stroke: #0d1117 }
.c0 { color: #79c0ff } .c1 { color: #ffa657 } .c2 { color: #7ee787 } .c3 { color: #d2a8ff }
.c4 { color: #ff9bce } .c5 { color: #56d4dd } .c6 { color: #e3b341 } .c7 { color: #ff7b72 }
}
`

// drawing writes the picture as SVG.
func drawing(g *graph) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">
<title>What explains what</title>
<style>
%s</style>
<rect class="ground" width="%d" height="%d"/>
`, g.width, g.height, g.width, g.height, style, g.width, g.height)
	for i, line := range words() {
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`+"\n", margin, 24+i*wordHeight, escaped(line))
	}
	for _, band := range g.bands {
		fmt.Fprintf(&b, `<path class="rule" d="M0 %d H%d"/>`+"\n", band.y, g.width)
		fmt.Fprintf(&b, `<text class="title" x="%d" y="%d">%s</text>`+"\n", margin, band.y+20, escaped(band.title))
	}
	for _, band := range g.bands {
		for _, box := range slices.Concat(band.left, band.right) {
			box.draw(&b, g)
		}
	}
	for _, t := range g.tracks {
		t.arrive(&b)
	}
	for _, t := range g.tracks {
		t.draw(&b, g)
	}
	fmt.Fprintln(&b, "</svg>")
	return b.Bytes()
}

// words tell how to read the picture.
func words() []string {
	return []string{
		"Left: checks that no other check explains. Right: those that one does;",
		"the number is that of the track in which the lines of their causes meet.",
		"A line bends into the track of each symptom that its check explains, and",
		"only crosses the others. Dashed: neither explains nor is explained.",
	}
}

// escaped makes text of anything.
func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}

// draw draws a box, and the line out of it past the tracks that it does not join.
func (b *box) draw(w io.Writer, g *graph) {
	class, indent := "box", 10
	if b.alone() {
		class += " alone"
	}
	if b.right {
		indent = 2*badge + 12
	}
	fmt.Fprintf(w, `<g class="%s"><title>%s</title>`, class, escaped(b.tip()))
	if len(b.joins) > 0 {
		from, to := b.x+g.boxWidth, b.farthest().x-joint
		if b.right {
			from, to = b.x, b.farthest().x+joint
		}
		fmt.Fprintf(w, `<path class="line" d="M%d %d H%d"/>`, from, b.out(), to)
	}
	fmt.Fprintf(w, `<rect x="%d" y="%d" width="%d" height="%d" rx="4"/>`, b.x, b.y, g.boxWidth, boxHeight)
	fmt.Fprintf(w, `<text x="%d" y="%d">%s</text></g>`+"\n", b.x+indent, b.y+boxHeight-6, escaped(b.ID))
}

// tip is what a viewer shows of a box that is pointed at.
func (b *box) tip() string {
	tip := fmt.Sprintf("%s (%s): %s", b.ID, b.Severity, b.Title)
	if len(b.joins) > 0 {
		tip += "\nexplains " + names(b.Explains)
	}
	if b.own != nil {
		tip += "\nis explained by " + names(b.causes)
	}
	return tip
}

func names(list []*checks.Check) string {
	var out []string
	for _, c := range list {
		out = append(out, c.ID)
	}
	return strings.Join(out, ", ")
}

// draw draws what lies between the lines of a track's causes and its symptom, and its number
// where it passes into a band and at the symptom.
func (t *track) draw(w io.Writer, g *graph) {
	fmt.Fprintf(w, `<g class="track c%d">`+"\n<title>%s</title>\n", t.column%palette,
		escaped(t.to.ID+" is explained by "+names(t.to.causes)))
	if top, bottom := t.top+joint, t.bottom-joint; top < bottom {
		fmt.Fprintf(w, `<path class="halo" d="M%d %d V%d"/>`, t.x, top, bottom)
		fmt.Fprintf(w, `<path d="M%d %d V%d%s"/>`+"\n", t.x, top, bottom, t.leave())
	}
	for _, from := range t.from {
		fmt.Fprintf(w, `<path class="edge" d="%s"><title>%s</title></path>`+"\n", t.join(from), escaped(from.ID+" explains "+t.to.ID))
	}
	for _, band := range g.bands {
		if y := band.y + head/2; t.top < y-badge && y+badge < t.bottom {
			t.numbered(w, t.x, y)
		}
	}
	t.numbered(w, t.to.x+badge+3, t.to.y+boxHeight/2)
	fmt.Fprintln(w, "</g>")
}

// join is the bend from a cause's line into the track, towards the symptom.
func (t *track) join(from *box) string {
	y, to := from.out(), t.to.in()
	if t.beside(from) {
		return fmt.Sprintf("M%d %d C%d %d %d %d %d %d", t.x-joint, y, t.x, y, t.x, to, t.x+joint, to)
	}
	side, down := joint, joint
	if from.right {
		side = -joint
	}
	if y > to {
		down = -joint
	}
	return fmt.Sprintf("M%d %d q%d 0 %d %d", t.x-side, y, side, side, down)
}

// arrive draws the line from the track to its symptom, which lies below all tracks.
func (t *track) arrive(w io.Writer) {
	y, end := t.to.in(), t.to.x
	fmt.Fprintf(w, `<g class="track c%d"><path d="M%d %d H%d"/><polygon points="%d,%d %d,%d %d,%d"/></g>`+"\n", t.column%palette,
		t.x+joint, y, end-7, end-8, y-4, end, y, end-8, y+4)
}

// leave is the bend out of the track, or two where causes stand above and below.
func (t *track) leave() (path string) {
	y := t.to.in()
	if t.top < y {
		path += fmt.Sprintf("M%d %d q0 %d %d %d", t.x, y-joint, joint, joint, joint)
	}
	if t.bottom > y {
		path += fmt.Sprintf("M%d %d q0 %d %d %d", t.x, y+joint, -joint, joint, -joint)
	}
	return path
}

func (t *track) numbered(w io.Writer, x, y int) {
	fmt.Fprintf(w, `<circle cx="%d" cy="%d" r="%d"/><text class="number" x="%d" y="%d">%d</text>`+"\n", x, y, badge, x, y+4, t.number)
}
