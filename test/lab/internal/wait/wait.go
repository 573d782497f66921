// Package wait waits for conditions.
package wait

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const interval = 50 * time.Millisecond

// Until calls try until it succeeds. When ctx ends first it returns the cause.
func Until(ctx context.Context, try func() error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for try() != nil {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
	return nil
}

// For is Until with a time limit. Its error tells the last reason to wait.
func For(ctx context.Context, limit time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	err := Until(ctx, func() error {
		// The reason that an ending context gives says nothing.
		if reason := try(); reason == nil || last == nil || ctx.Err() == nil {
			last = reason
		}
		return last
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("giving up after %s: %w", limit, last)
	}
	return err
}

// OK returns nil if url answers 200.
func OK(ctx context.Context, client *http.Client, url string) error {
	return JSON(ctx, client, url, nil)
}

// JSON decodes into a value what url answers with 200; nothing is read where that is nil.
func JSON(ctx context.Context, client *http.Client, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
