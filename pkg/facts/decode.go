package facts

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// decodeJSON reads exactly one JSON value.
func decodeJSON(body io.Reader, into any) error {
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("not the JSON expected: %w", err)
	}
	return nil
}

// tail returns the end of a log, from the start of a line. It does not hold on to the
// rest.
func tail(text string) string {
	if len(text) > keptLogBytes {
		text = text[len(text)-keptLogBytes:]
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
	}
	return strings.Clone(text)
}
