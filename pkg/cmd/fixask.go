package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// ask puts a question to the person at the terminal. Anything but yes is no.
func (c *cluster) ask(ctx context.Context, question string, yes bool) error {
	if yes {
		return nil
	}
	if !c.env.AskIn {
		return usage("there is no terminal to ask on; -y applies it without a question, --dry-run only shows it")
	}
	line, err := c.answer(ctx, question+" [y/N] ")
	if err != nil {
		return err
	}
	if line == "y" || line == "yes" {
		return nil
	}
	return errNotConfirmed
}

var (
	errNotConfirmed = errors.New("not confirmed; nothing was changed")
	errInterrupted  = errors.New("interrupted; nothing was changed")
)

// answer reads a line from the person at the terminal, byte by byte: the next line is the
// answer to the next question.
func (c *cluster) answer(ctx context.Context, question string) (string, error) {
	fmt.Fprintf(c.env.ErrOut, "\n%s", question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(onebyone{c.env.In}).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(c.env.ErrOut)
		return "", errInterrupted
	case line := <-answer:
		return line, nil
	}
}

// onebyone reads no more than was asked for.
type onebyone struct{ from io.Reader }

func (r onebyone) Read(p []byte) (int, error) { return r.from.Read(p[:min(len(p), 1)]) }

// pickSome asks which of n to go through: numbers and ranges, a for all, nothing for none.
// What is chosen stands in the order of the list, in which causes come first.
func (c *cluster) pickSome(ctx context.Context, n int) ([]int, error) {
	for {
		line, err := c.answer(ctx, fmt.Sprintf("Repair which? (1-%d, a for all in this order, nothing for none) ", n))
		if err != nil {
			return nil, err
		}
		chosen, err := parsePick(line, n)
		if err == nil {
			return chosen, nil
		}
		fmt.Fprintln(c.env.ErrOut, err)
	}
}

func parsePick(line string, n int) ([]int, error) {
	var out []int
	for _, word := range strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ',' }) {
		from, to, isRange := strings.Cut(word, "-")
		if !isRange {
			to = from
		}
		switch word {
		case "a", "all":
			from, to = "1", strconv.Itoa(n)
		case "q", "n", "none", "no":
			return nil, nil
		}
		first, err := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err != nil || err2 != nil || first < 1 || last > n || first > last {
			return nil, fmt.Errorf("%q is not one of 1-%d", word, n)
		}
		for i := first; i <= last; i++ {
			out = append(out, i-1)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
