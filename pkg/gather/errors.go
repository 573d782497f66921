package gather

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// Reason says in a few words why a request failed, for a gap.
func Reason(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), apierrors.IsTimeout(err), errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case apierrors.IsForbidden(err):
		_, who, found := strings.Cut(err.Error(), " is forbidden: ") // the resource is named once more behind
		if !found {
			who = err.Error()
		}
		return "forbidden: " + who
	case apierrors.IsUnauthorized(err):
		return "unauthorized: the server does not accept these credentials"
	}
	return err.Error()
}

// answeredAnyway tells whether an error to /version still proves a reachable API
// server that will tell more about itself.
func answeredAnyway(err error) bool { return apierrors.IsForbidden(err) }

func decodeRaw(res rest.Result, into any) error {
	body, err := res.Raw()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the server's answer is not that of a Kubernetes API server: %w", err)
	}
	return nil
}
