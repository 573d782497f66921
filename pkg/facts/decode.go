package facts

import (
	"bufio"
	"encoding/json"
	"errors"
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

// decodeList walks a v1 List and hands on its items one by one, so that a list never
// stands in memory as a whole. What ends early is an error, never a short list.
func decodeList(body io.Reader, each func(json.RawMessage) error) error {
	dec := json.NewDecoder(bufio.NewReaderSize(body, 1<<16))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return jsonError(err, "not a JSON object")
	}
	items := false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return jsonError(err, "")
		}
		if key != "items" {
			if err := skipValue(dec); err != nil {
				return err
			}
			continue
		}
		items = true
		if err := decodeItems(dec, each); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return jsonError(err, "")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the list")
	}
	if !items {
		return errors.New(`not a list: it has no "items"`)
	}
	return nil
}

func decodeItems(dec *json.Decoder, each func(json.RawMessage) error) error {
	t, err := dec.Token()
	if t == nil && err == nil {
		return nil // Go writes an empty list as null
	}
	if err != nil || t != json.Delim('[') {
		return jsonError(err, `"items" is not a list`)
	}
	for n := 0; dec.More(); n++ {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return jsonError(err, "")
		}
		if err := each(raw); err != nil {
			return fmt.Errorf("item %d: %w", n, err)
		}
	}
	_, err = dec.Token()
	return jsonError(err, "")
}

func skipValue(dec *json.Decoder) error {
	var ignored json.RawMessage
	return jsonError(dec.Decode(&ignored), "")
}

// jsonError says what is wrong with a file in words for its owner. Without an error it
// returns the complaint, or nil where there is none.
func jsonError(err error, complaint string) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("truncated: the JSON ends too early")
	case err != nil:
		return fmt.Errorf("not JSON: %w", err)
	case complaint != "":
		return errors.New(complaint)
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
