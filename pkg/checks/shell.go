package checks

import (
	"fmt"
	"regexp"
	"strings"
)

// Command writes words into a command that the reader may copy, or into a sentence with
// one: each is quoted where a shell would take it for more than a word.
func Command(format string, words ...string) string {
	quoted := make([]any, len(words))
	for i, w := range words {
		quoted[i] = ShellWord(w)
	}
	return fmt.Sprintf(format, quoted...)
}

// plainWord matches what a shell takes as it stands.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=,@%+-]+$`)

// ShellWord quotes text from the cluster, so that it is one word of a command that
// somebody may copy, whatever stands in it.
func ShellWord(text string) string {
	if plainWord.MatchString(text) && !strings.HasPrefix(text, "-") {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
