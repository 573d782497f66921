package wait

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestForTellsLastReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := For(t.Context(), time.Second, func() error { return errors.New("no such door") })
		if err == nil || !strings.Contains(err.Error(), "giving up after 1s: no such door") {
			t.Errorf("got %v, want the time and the reason", err)
		}
	})
}

func TestForEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("somebody else failed")
	cancel(cause)
	if err := For(ctx, time.Hour, func() error { return errors.New("not yet") }); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
}

func TestUntilTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := Until(t.Context(), func() error {
			if tries++; tries < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil || tries != 3 {
			t.Errorf("got %v after %d tries, want success after 3", err, tries)
		}
	})
}
