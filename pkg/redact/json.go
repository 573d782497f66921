package redact

import (
	"encoding/json"
	"strings"
)

// JSON takes secrets out of a text that is JSON or was meant to be, and leaves everything else
// as it stands, faults included. What is valid stays valid.
func JSON(text string) string {
	clean := walker{IsSecret, inside}.walk(text)
	if json.Valid([]byte(clean)) {
		return clean
	}
	return Text(clean)
}

// inside looks into a string, which may be JSON itself, such as one of an annotation.
func inside(text string, _ place) string {
	if t := strings.TrimSpace(text); strings.HasPrefix(t, "{") || strings.HasPrefix(t, "[") {
		return JSON(text)
	}
	return Anywhere(text)
}

// Strings takes out of a valid JSON text what is a secret wherever it stands, as Anywhere
// does, out of each of its strings by itself, names too: what is valid stays valid.
func Strings(text string) string {
	none := func(string) bool { return false }
	return walker{none, func(text string, _ place) string { return Anywhere(text) }}.walk(text)
}
