// Package vocabulary collects the words that capture --anonymize leaves as they are: a word that
// a check looks for must not become another.
package vocabulary

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// words are what capture --anonymize leaves as it is: core, what checks look for, whatever the
// cluster calls by it; prose, plain English, where the cluster calls nothing by it.
type words struct{ core, prose map[string]bool }

// Lists returns the lists of pkg/anonymize by their paths from the root of the repository, where
// it must be called. An error is of a source that cannot be read.
func Lists() (map[string][]byte, error) {
	w := words{core: map[string]bool{}, prose: map[string]bool{}}
	// With what they import these are all that look for words in a bundle, or write what is in one.
	if err := w.collectPackages("pkg/checks/all", "pkg/fixes", "pkg/probe"); err != nil {
		return nil, err
	}
	plugins, err := os.ReadFile("plugins.yaml")
	if err != nil {
		return nil, err
	}
	note(w.core, regexp.MustCompile(`(?m)^ *(text|note|#).*$`).ReplaceAllString(string(plugins), ""))
	w.collectTypes()
	for word := range w.core {
		delete(w.prose, word)
	}
	return map[string][]byte{
		"pkg/anonymize/core.txt": page(w.core, `What checks look for, and fields.
From the literals and structs of pkg/checks/all, pkg/fixes, pkg/probe and what they import,
plugins.yaml, and the fields of the objects that are read.`),
		"pkg/anonymize/prose.txt": page(w.prose, `Plain English.
From what people are told (Doc, Message, Remedy, errors), and what the API's documentation
says of the objects that are read.`),
	}, nil
}

// page writes one line for each first letter, below where the words come from.
func page(list map[string]bool, from string) []byte {
	out := fmt.Sprintf("# %s\n# Written by make docs.", strings.ReplaceAll(from, "\n", "\n# "))
	last := byte(0)
	for _, word := range slices.Sorted(maps.Keys(list)) {
		mark := " "
		if word[0] != last {
			mark = "\n"
		}
		out, last = out+mark+word, word[0]
	}
	return []byte(out + "\n")
}

var (
	wordForm = regexp.MustCompile(`[A-Za-z]+`)
	// escapeForm is what stands for something else in a regular expression or in a format.
	escapeForm = regexp.MustCompile(`\\[a-zA-Z]|%[-+ #0-9.]*[a-zA-Z]`)
)

func note(list map[string]bool, text string) {
	for _, word := range wordForm.FindAllString(escapeForm.ReplaceAllString(text, " "), -1) {
		if len(word) > 1 && len(word) < 40 {
			list[strings.ToLower(word)] = true
		}
	}
}
