package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// put writes a section into a page, in place of the one that the same command wrote
// before; without a file it prints it.
func put(file, command, section string) error {
	if file == "" {
		fmt.Print(section)
		return nil
	}
	page, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		page, err = []byte("# Benchmarks\n"), nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(replace(string(page), command, section)), 0o644)
}

// replace exchanges a command's section of a page, or adds it at the end.
func replace(page, command, section string) string {
	begin, end := "<!-- written by "+command+" -->\n", "<!-- end of "+command+" -->\n"
	section = begin + "\n" + section + "\n" + end
	before, rest, found := strings.Cut(page, begin)
	if !found {
		return page + "\n" + section
	}
	_, after, _ := strings.Cut(rest, end)
	return before + section + after
}
