package facts

import (
	"cmp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Event is an event in the compact form that checks read.
type Event struct {
	Namespace             string
	About                 Ref
	Type, Reason, Message string
	Seen                  Stamp  // when it was last seen
	Count                 int32  // how often, at least 1
	Node                  string // whose kubelet reported it; empty for other components
}

func compareEvents(a, b *Event) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), a.About.Compare(b.About), cmp.Compare(a.Seen, b.Seen),
		strings.Compare(a.Type, b.Type), strings.Compare(a.Reason, b.Reason), strings.Compare(a.Message, b.Message))
}

// eventTime returns when an event was last seen; events of the newer API carry it in
// their series or eventTime.
func eventTime(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil && !e.Series.LastObservedTime.IsZero():
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

// EventsOf returns the events of a reason ("FailedCreatePodSandBox"), in the order of their
// objects.
func (s *Snapshot) EventsOf(reason string) []*Event { return s.index.events[reason] }

// LastWarning returns the newest Warning event about an object, or nil.
func (s *Snapshot) LastWarning(r Ref) *Event { return s.index.warnings[r] }
