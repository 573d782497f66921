package facts

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Event is an event in the compact form that checks read.
type Event struct {
	Namespace, Name string

	About                 Ref
	Type, Reason, Message string
	Seen                  time.Time // when it was last seen
}

// Ref names the event itself.
func (e *Event) Ref() Ref { return Ref{Kind: "Event", Namespace: e.Namespace, Name: e.Name} }

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

// LastWarning returns the newest Warning event about an object, or nil.
func (s *Snapshot) LastWarning(r Ref) *Event { return s.index.warnings[r] }
