package corefile

import "fmt"

// A Reason says why a Corefile was not rewritten.
type Reason string

const (
	// ReasonMalformed says that the text is no Corefile. The refusal wraps the
	// [*SyntaxError].
	ReasonMalformed Reason = "malformed"
	// ReasonUpstream says that there are no new upstreams, or that one cannot work.
	ReasonUpstream Reason = "upstream"
	// ReasonTooMany says that a forward would get more upstreams than the 15 that CoreDNS takes.
	ReasonTooMany Reason = "too many"
	// ReasonNothing says that no forward has a target that is to be replaced.
	ReasonNothing Reason = "nothing"
	// ReasonImport says what ReasonNothing says, of a text that imports files.
	ReasonImport Reason = "import"
	// ReasonSnippet says that the target stands in a snippet, where a change may concern
	// more than one block.
	ReasonSnippet Reason = "snippet"
	// ReasonPlaceholder says that a target comes from the environment or is filled in
	// before CoreDNS reads it.
	ReasonPlaceholder Reason = "placeholder"
	// ReasonQuoted says that the target is written in quotes or with stray carriage
	// returns, so that its bytes are not its text.
	ReasonQuoted Reason = "quoted"
	// ReasonShared says that a directive does not have its lines for itself, so that they
	// cannot be taken out or added to.
	ReasonShared Reason = "shared"
)

// A Refusal is the error of [Rewrite.Apply] and of an [Editor]: what stands in the way, in a form
// to show to a person.
type Refusal struct {
	Reason Reason
	Line   int // of the Corefile; 0 if no line is to blame
	detail string
	err    error
}

func (r *Refusal) Error() string {
	if r.Line == 0 || r.err != nil { // a syntax error names its line itself
		return r.detail
	}
	return fmt.Sprintf("line %d: %s", r.Line, r.detail)
}

// Unwrap returns the [*SyntaxError] of a text that is no Corefile.
func (r *Refusal) Unwrap() error { return r.err }

func refuse(reason Reason, line int, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Line: line, detail: fmt.Sprintf(format, args...)}
}
