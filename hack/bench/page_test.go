package main

import (
	"strings"
	"testing"
)

func TestSectionsLeaveEachOtherAlone(t *testing.T) {
	page := "# Benchmarks\n"
	page = replace(page, "make bench", "small 1\n")
	page = replace(page, "make bench-scale", "large 1\n")
	page = replace(page, "make bench", "small 2\n")
	for text, want := range map[string]bool{"small 1": false, "small 2": true, "large 1": true, "# Benchmarks": true} {
		if got := strings.Contains(page, text); got != want {
			t.Errorf("holds %q: %v, want %v:\n%s", text, got, want, page)
		}
	}
	if again := replace(page, "make bench", "small 2\n"); again != page {
		t.Errorf("writing the same again changes the page:\n%s", again)
	}
}
