// Package wire reads lists as the API server sends them, one item at a time, so that a
// list never stands in memory as a whole.
//
// [Protobuf] and [JSON] promise the same:
//
//   - Items come in their order, each once, as bytes that are valid only until the
//     function they are given to returns: the memory is used again for the next one.
//   - Success means that the whole list was there. An input that ends early, wherever it
//     does, is an error for which errors.Is(err, io.ErrUnexpectedEOF) holds; what follows
//     the end of the list is an error too. So is an item longer than 64 MiB: etcd refuses
//     more than 1.5 MiB unless it is told otherwise. A length is not believed before the
//     bytes are there, so a false one costs no memory.
//   - An error of the caller's function ends the reading and is returned as
//     "item 3: …", counted from 0, wrapped. An error of the reader is returned as it is.
//   - After any error, what was handed on belongs to no list and must be thrown away.
//   - The head is complete once no error is returned, not before: its parts may come
//     behind the items. Whether it is the kind of list that was asked for, and whether
//     there are more pages, is the caller's to look at.
//   - A v1 Status instead of a list, which some proxies send as a success, is an error
//     from which errors.As gives an [apierrors.APIStatus]; Head.Kind is then "Status".
package wire

import (
	"errors"
	"fmt"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxItem is the length in bytes that no single item, and nothing else that must be held
// in one piece, may exceed.
const maxItem = 64 << 20

// statusKind is the kind of what an API server answers in place of what was asked for.
const statusKind = "Status"

// Head is what a list says about itself.
type Head struct {
	APIVersion      string
	Kind            string
	Continue        string // the token of the next page, empty on the last
	ResourceVersion string
	Remaining       int64 // how many items follow on later pages, 0 where that is not told
}

func (h *Head) setMeta(meta *metav1.ListMeta) {
	h.Continue, h.ResourceVersion = meta.Continue, meta.ResourceVersion
	if meta.RemainingItemCount != nil {
		h.Remaining = *meta.RemainingItemCount
	}
}

// truncated is the error for an input that ended early.
type truncated string

func (t truncated) Error() string { return string(t) }

// Unwrap lets callers recognise a cut without knowing the encoding.
func (t truncated) Unwrap() error { return io.ErrUnexpectedEOF }

func tooLong(limit int64) error { return fmt.Errorf("longer than the %d bytes allowed", limit) }

// statusError returns the error that a client would have made of the status, and never
// one without words.
func statusError(status *metav1.Status) error {
	if status.Message == "" {
		status.Message = fmt.Sprintf("a Status without a message, reason %q", status.Reason)
	}
	err := apierrors.FromObject(status)
	if status.Status != metav1.StatusFailure {
		return fmt.Errorf("not a list but a Status: %w", err)
	}
	return err
}

// source reads from in and repeats its first error for ever: a failure that was overtaken
// by what had been read before it must not be followed by a peaceful end.
type source struct {
	in  io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.in.Read(p)
	s.err = err
	return n, err
}

// atEnd tells whether err is how a reader says that there is nothing more, in order or
// not.
func atEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
