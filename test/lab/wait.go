package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	pollInterval = 50 * time.Millisecond
	// startTimeout is generous: it only matters when something is broken, and
	// machines that run tests can be slow.
	startTimeout = 2 * time.Minute
)

// poll calls try until it succeeds. When ctx ends first it returns the cause.
func poll(ctx context.Context, try func() error) error {
	ticker := time.NewTicker(pollInterval)
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

// awaitOK waits until url answers 200.
func awaitOK(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var last error
	err := poll(ctx, func() error {
		last = getOK(ctx, client, url)
		return last
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("giving up after %s: %w", startTimeout, last)
	}
	return err
}

func getOK(ctx context.Context, client *http.Client, url string) error {
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
	return nil
}

// newClient returns a client that trusts ca and presents id.
func newClient(ca []byte, id keyPair) (*http.Client, error) {
	cert, err := tls.X509KeyPair(id.cert, id.key)
	if err != nil {
		return nil, fmt.Errorf("loading the client certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{
			RootCAs:      roots,
			Certificates: []tls.Certificate{cert},
		}},
	}, nil
}
