// Package faults proves that nothing is lost whatever happens during a repair. A proxy in
// front of a real API server lets one fault happen at the Nth write, of every repair, of
// every undo and of every repair that was left half done and is taken up again, for every
// N. Afterwards either the plan is fully applied or fully taken back and the journal says
// so, or one more undo, or one more attempt to carry it on, comes to such an end.
package faults

import (
	"fmt"
	"net/http"
	"time"
)

// Fault is what happens to a write.
type Fault struct {
	Name    string
	Carried bool // the server has carried the write out when it happens
	Lasting bool // it goes on with every later request, and none of those is carried out

	// Hidden is for what only the client does: it happens while the write is held back.
	Hidden Hidden

	code  int
	retry string // Retry-After
	half  bool   // the answer breaks off in the middle
}

// Hidden is an end of a request that no answer brings about.
type Hidden int

// The ends.
const (
	NotHidden  Hidden = iota
	TimesOut          // the client waits no longer
	Interrupts        // the user interrupts the client
	Kills             // the client's process is killed
)

// Faults lists every fault that the connection or the server can bring about. The server's
// own errors take turns: the nth list has one of them.
func Faults(nth int) []Fault {
	codes := []int{http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	code := codes[nth%len(codes)]
	name := func(code int, when string) string { return fmt.Sprint(code, " ", when) }
	return []Fault{
		{Name: "connection cut before the write"},
		{Name: "connection cut after the write", Carried: true},
		{Name: "connection cut within the answer", Carried: true, half: true},
		{Name: "server gone before the write", Lasting: true},
		{Name: "server gone after the write", Carried: true, Lasting: true},
		{Name: "409", code: http.StatusConflict},
		{Name: "429 once", code: http.StatusTooManyRequests, retry: "0"},
		{Name: "429 from then on", code: http.StatusTooManyRequests, retry: "0", Lasting: true},
		{Name: name(code, "before the write"), code: code},
		{Name: name(code, "after the write"), Carried: true, code: code},
		{Name: name(code, "with Retry-After, after the write"), Carried: true, code: code, retry: "0"},
		{Name: "no answer, before the write", Hidden: TimesOut},
		{Name: "no answer, after the write", Carried: true, Hidden: TimesOut},
		{Name: "interrupted before the write", Hidden: Interrupts},
		{Name: "interrupted after the write", Carried: true, Hidden: Interrupts},
	}
}

// Deaths lists how the process of a repair can end at a write.
func Deaths() []Fault {
	return []Fault{
		{Name: "killed before the write", Hidden: Kills},
		{Name: "killed after the write", Carried: true, Hidden: Kills},
	}
}

// moment is how soon a client goes that an interrupt ends at once.
const moment = 10 * time.Millisecond

// longest is for how long a request is held back that nobody ends.
const longest = 10 * time.Second
