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
	text, err := readText(body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
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

func readText(body io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxTextBytes+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxTextBytes {
		return "", fmt.Errorf("more than the %d bytes that such a file may have", maxTextBytes)
	}
	return string(data), nil
}

// tail reads a log and returns the end of it, from the start of a line.
func tail(body io.Reader) (string, error) {
	text, err := readText(body)
	if err != nil || len(text) <= keptLogBytes {
		return text, err
	}
	text = text[len(text)-keptLogBytes:]
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	return text, nil
}

// addDumpLog reads logs.txt as kubectl cluster-info dump writes it: the containers one
// after another, each between a START and an END line (k8s.io/kubectl,
// pkg/cmd/clusterinfo).
func (r *reader) addDumpLog(namespace, pod string, body io.Reader) error {
	text, err := readText(body)
	if err != nil {
		return err
	}
	r.seen[PodLogs] = true
	const start, end = "==== START logs for container ", "==== END logs for container "
	for rest := text; ; {
		_, after, found := strings.Cut(rest, start)
		if !found {
			return nil
		}
		container, after, found := strings.Cut(after, " of pod ")
		if !found {
			return errors.New("a START line without a pod's name")
		}
		_, after, _ = strings.Cut(after, "\n")
		log, after, found := strings.Cut(after, end)
		if !found {
			return fmt.Errorf("truncated: no END line for container %s", container)
		}
		log, err = tail(strings.NewReader(log))
		if err != nil {
			return err
		}
		r.b.AddLog(namespace, pod, container, Log{Current: log})
		rest = after
	}
}
