package vocabulary

import (
	"strings"
	"testing"
)

func TestLists(t *testing.T) {
	t.Chdir("../../..")
	lists, err := Lists()
	if err != nil {
		t.Fatal(err)
	}
	for name, word := range map[string]string{"pkg/anonymize/core.txt": "coredns", "pkg/anonymize/prose.txt": "important"} {
		text := string(lists[name])
		if !strings.HasPrefix(text, "# ") || !strings.Contains(text, "\n# Written by make docs.\n") {
			t.Errorf("%s does not say where it comes from: %.200q", name, text)
		}
		if !strings.Contains(text, " "+word+" ") {
			t.Errorf("%s lacks %q", name, word)
		}
	}
}
