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
		return fmt.Errorf("not the JSON expected: %s", short(err.Error()))
	}
	return nil
}

// short cuts words that quote what could not be decoded: it may be all of it.
func short(text string) string {
	const enough = 300
	if len(text) <= enough {
		return text
	}
	return strings.ToValidUTF8(text[:enough], "") + "…"
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
