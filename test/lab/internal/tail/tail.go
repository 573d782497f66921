// Package tail shows the ends of logs in errors.
package tail

import (
	"io"
	"os"
	"strings"
)

// size bounds how much of a log is repeated.
const size = 2048

// File returns the last lines of a file, or why it cannot be read.
func File(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	_, seekErr := f.Seek(-size, io.SeekEnd) // fails for a shorter file
	content, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	text := strings.TrimSpace(string(content))
	if _, whole, found := strings.Cut(text, "\n"); seekErr == nil && found {
		return whole // the first line was probably cut
	}
	return text
}
