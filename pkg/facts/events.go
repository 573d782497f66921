package facts

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// EventTime returns when an event was last seen; events of the newer API carry it in
// their series or eventTime.
func EventTime(e *corev1.Event) time.Time {
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
func (s *Snapshot) LastWarning(r Ref) *corev1.Event {
	var last *corev1.Event
	for _, e := range s.Events {
		o := e.InvolvedObject
		if e.Type != corev1.EventTypeWarning || o.Kind != r.Kind || o.Namespace != r.Namespace || o.Name != r.Name {
			continue
		}
		if last == nil || EventTime(e).After(EventTime(last)) {
			last = e
		}
	}
	return last
}
