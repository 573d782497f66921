package corefile

import (
	"errors"
	"net/netip"
	"path"
	"slices"
	"strings"
	"unicode"
)

// MaxUpstreams is the number of targets that CoreDNS allows in one forward.
const MaxUpstreams = 15

// ResolvConf is the file that the kubelet puts into a pod and that nearly every
// Corefile forwards to.
const ResolvConf = "/etc/resolv.conf"

// A Rewrite replaces targets of forward, and of proxy of old, by other
// upstreams. Which block does the forwarding and for which zone makes no
// difference: a zone that is forwarded to a broken file is as broken as all the
// rest.
type Rewrite struct {
	// To are the upstreams to forward to. Port 0 stands for 53.
	To []netip.AddrPort
	// File is the target to replace, "" for ResolvConf. Other files were put
	// into the pod on purpose and are left alone.
	File string
	// Self also replaces addresses at which CoreDNS reaches the forwarding block
	// itself; see [Block.Hears].
	Self bool
	// Own are further addresses of CoreDNS, such as that of the Service in front of
	// it; with Self they are replaced, too, where the port is 53.
	Own []netip.Addr
	// KeepFile leaves files alone.
	KeepFile bool
}

// An Edit is one change that was made.
type Edit struct {
	Line   int    // counted from 1; the same before and after
	Before string // the word that was replaced
	After  string // what stands there now; "" if the word was taken out
}

// Apply returns the text with the targets replaced, and what was changed. All
// bytes outside of the replaced words stay as they are; where nothing takes the
// place of a word, the blanks before it go too. Upstreams that a forward has
// already are not written twice.
//
// The error is a [*Refusal], the text is then "". There is no halfway: if one
// target cannot be replaced, none is.
func (r Rewrite) Apply(text string) (string, []Edit, error) {
	f, err := Parse(text)
	if err != nil {
		refusal := &Refusal{Reason: ReasonMalformed, detail: err.Error(), err: err}
		if syntax, ok := errors.AsType[*SyntaxError](err); ok {
			refusal.Line = syntax.Line
		}
		return "", nil, refusal
	}
	if refusal := r.usable(); refusal != nil {
		return "", nil, refusal
	}
	var cuts []cut
	for _, b := range f.Blocks {
		for _, d := range b.Directives {
			more, refusal := r.cuts(text, b, d)
			if refusal != nil {
				return "", nil, refusal
			}
			cuts = append(cuts, more...)
		}
	}
	if len(cuts) == 0 {
		return "", nil, r.nothing(f)
	}
	out, edits := splice(text, cuts)
	return out, edits, nil
}

// usable refuses upstreams that no pod can forward to.
func (r Rewrite) usable() *Refusal {
	if len(r.To) == 0 {
		return refuse(ReasonUpstream, 0, "no upstream to forward to is given")
	}
	if len(r.To) > MaxUpstreams {
		return refuse(ReasonTooMany, 0, "%d upstreams are more than the %d that CoreDNS takes", len(r.To), MaxUpstreams)
	}
	for _, to := range r.To {
		addr := to.Addr().Unmap()
		switch {
		case !addr.IsValid():
			return refuse(ReasonUpstream, 0, "an upstream is no address")
		case addr.IsLoopback(), addr.IsUnspecified():
			return refuse(ReasonUpstream, 0, "upstream %s is the pod itself: CoreDNS would ask itself again", addr)
		case addr.Zone() != "", addr.Is6() && addr.IsLinkLocalUnicast():
			return refuse(ReasonUpstream, 0, "upstream %q is only valid on a link of the node, not in a pod", addr)
		case addr.IsMulticast():
			return refuse(ReasonUpstream, 0, "upstream %s is a multicast address", addr)
		}
	}
	return nil
}

// nothing says why there was nothing to replace.
func (r Rewrite) nothing(f *File) *Refusal {
	for _, b := range f.Blocks {
		for _, d := range b.Directives {
			forward, _ := d.Forward()
			if u, ok := firstPlaceholder(forward.To); ok {
				return refuse(ReasonPlaceholder, d.Line, "the target %s is filled in elsewhere", u.Text)
			}
		}
	}
	if len(f.Imports) > 0 {
		d := f.Imports[0]
		return refuse(ReasonImport, d.Line, "nothing here forwards to %s, but %s is imported and not part of this text", r.file(), d.Args[0])
	}
	return refuse(ReasonNothing, 0, "nothing forwards to %s", r.file())
}

func (r Rewrite) file() string {
	if r.File == "" {
		return ResolvConf
	}
	return path.Clean(r.File)
}

func (r Rewrite) replaces(b *Block, u Upstream) bool {
	if u.Kind == UpstreamFile {
		return !r.KeepFile && path.Clean(u.Path) == r.file()
	}
	own := u.Port == "53" && slices.Contains(r.Own, u.Addr.Unmap())
	return r.Self && (own || b.Hears(u))
}

// targets returns the targets of a directive, apart: those to replace, as
// indexes into its arguments, and those to keep.
func (r Rewrite) targets(b *Block, d *Directive) (replaced []int, kept []Upstream) {
	forward, _ := d.Forward()
	for i, u := range forward.To {
		if r.replaces(b, u) {
			replaced = append(replaced, i+1)
		} else {
			kept = append(kept, u)
		}
	}
	return replaced, kept
}

// A cut is a stretch of the text and what comes in its place.
type cut struct {
	Edit
	start, end int
}

// cuts returns what is to be changed in a directive.
func (r Rewrite) cuts(text string, b *Block, d *Directive) ([]cut, *Refusal) {
	replaced, kept := r.targets(b, d)
	if len(replaced) == 0 {
		return nil, nil
	}
	words := r.words(kept)
	if refusal := check(d, replaced, kept, len(words)); refusal != nil {
		return nil, refusal
	}
	var cuts []cut
	for n, i := range replaced {
		t := d.args[i]
		c := cut{Edit{Line: t.line, Before: t.text}, t.start, t.end}
		if n == 0 && len(words) > 0 {
			c.After = strings.Join(words, " ")
		} else {
			gap := text[d.args[i-1].end:t.start]
			c.start -= len(gap) - len(strings.TrimRightFunc(gap, unicode.IsSpace))
		}
		cuts = append(cuts, c)
	}
	return cuts, nil
}

// check refuses what cannot be changed by replacing words in place.
func check(d *Directive, replaced []int, kept []Upstream, added int) *Refusal {
	if d.Snippet != "" {
		return refuse(ReasonSnippet, d.Line, "the forwarding stands in the snippet (%s)", d.Snippet)
	}
	for _, i := range replaced {
		// Without the word behind it, a closing quote would meet what follows.
		if !d.args[i].plain || !d.args[i-1].plain {
			return refuse(ReasonQuoted, d.Line, "the target %s, or the word before it, is written with quotes", d.Args[i])
		}
	}
	if u, ok := firstPlaceholder(kept); ok {
		return refuse(ReasonPlaceholder, d.Line, "the target %s is filled in elsewhere", u.Text)
	}
	if n := len(kept) + added; n > MaxUpstreams {
		return refuse(ReasonTooMany, d.Line, "%d upstreams are more than the %d that CoreDNS takes", n, MaxUpstreams)
	}
	return nil
}

func firstPlaceholder(us []Upstream) (Upstream, bool) {
	i := slices.IndexFunc(us, func(u Upstream) bool { return u.Kind == UpstreamPlaceholder })
	if i < 0 {
		return Upstream{}, false
	}
	return us[i], true
}

// words returns the new upstreams as CoreDNS reads them, without those that a
// forward has.
func (r Rewrite) words(kept []Upstream) []string {
	var words []string
	for _, to := range r.To {
		word := target(to)
		u := ParseUpstream(word)
		same := func(k Upstream) bool {
			return k.Transport == u.Transport && k.Addr.Unmap() == u.Addr && k.Port == u.Port
		}
		if !slices.Contains(words, word) && !slices.ContainsFunc(kept, same) {
			words = append(words, word)
		}
	}
	return words
}

func target(to netip.AddrPort) string {
	addr := to.Addr().Unmap()
	if to.Port() == 0 || to.Port() == 53 {
		return addr.String()
	}
	return netip.AddrPortFrom(addr, to.Port()).String()
}

// splice carries out cuts, which are in the order of the text.
func splice(text string, cuts []cut) (string, []Edit) {
	var out strings.Builder
	var edits []Edit
	end := 0
	for _, c := range cuts {
		out.WriteString(text[end:c.start])
		out.WriteString(c.After)
		end = c.end
		edits = append(edits, c.Edit)
	}
	out.WriteString(text[end:])
	return out.String(), edits
}
