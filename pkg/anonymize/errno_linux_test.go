package anonymize

import (
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// What a log quotes of a kernel stays as it is.
func TestErrorsOfLinuxStay(t *testing.T) {
	a := seeded(t, 1)
	for no := range syscall.Errno(134) {
		for _, word := range regexp.MustCompile(`[A-Za-z]{2,}`).FindAllString(no.Error(), -1) {
			if !a.WellKnown(strings.ToLower(word)) {
				t.Errorf("error %d is %q: more.txt lacks %q", no, no.Error(), word)
			}
		}
	}
}
