// Package anonymize replaces names and addresses by pseudonyms, in objects and in text alike.
//
// It goes by words and not by fields, so that a name is found wherever it stands: a word is a
// run of letters, and each word that is not one of Kubernetes, of networks or of plain English
// is replaced by as many random consonants, wherever it stands always by the same (a letter
// beyond ASCII counts as its bytes do, and what has few letters is longer where all of its
// length are given). A word of
// plain English is replaced too where the cluster has given it to something as a name. So
// "web-shop-7d9f8b6c5-x2x4z" keeps its form, its digits and its length, stays a valid name,
// and is still the pod of "web-shop"; what separates words is never touched, so JSON, YAML
// and a Corefile stay what they are.
//
// What stays readable: names that consist of well-known words, digits and single letters
// alone (kube-system, coredns, node-1), numbers, times, ports, and the length of every word.
//
// Addresses are replaced so that two that share a prefix share one of the same length
// afterwards (see addresses). MAC addresses, UUIDs and long hexadecimal numbers become others
// of their kind.
//
// Nothing is kept: without the random bytes that New is given, which no bundle holds,
// pseudonyms of two bundles cannot be compared.
package anonymize

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Anonymizer replaces names and addresses. It must Learn everything before the first text is
// replaced, and is not safe for concurrent use.
type Anonymizer struct {
	words     words
	addresses addresses
	key       [32]byte
}

// New takes 96 random bytes, on which every pseudonym depends: fewer are an error.
func New(random io.Reader) (*Anonymizer, error) {
	var forWords, forAddresses, forNumbers [32]byte
	for _, seed := range []*[32]byte{&forWords, &forAddresses, &forNumbers} {
		if _, err := io.ReadFull(random, seed[:]); err != nil {
			return nil, fmt.Errorf("reading random bytes: %w", err)
		}
	}
	addresses, err := newAddresses(forAddresses)
	if err != nil {
		return nil, err
	}
	return &Anonymizer{words: newWords(rand.NewChaCha8(forWords)), addresses: addresses, key: forNumbers}, nil
}

// Bundle hands the files to write, their names and texts replaced, each with its size in
// bytes. It reads every file three times and holds no more than a line of it in memory.
func (a *Anonymizer) Bundle(files []facts.Entry, write func(name string, size int64, body io.Reader) error) error {
	for _, f := range files {
		if err := a.learnFile(f); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	for _, f := range files {
		if err := a.writeFile(f, write); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return nil
}

func (a *Anonymizer) learnFile(f facts.Entry) error {
	isJSON := path.Ext(f.Name) == ".json"
	return eachLine(f, func(line []byte) error {
		a.learnRanges(line)
		if isJSON {
			a.learnNames(line)
		}
		return nil
	})
}

func (a *Anonymizer) writeFile(f facts.Entry, write func(name string, size int64, body io.Reader) error) error {
	var size int64
	var out []byte
	err := eachLine(f, func(line []byte) error {
		out = a.Append(out[:0], line)
		size += int64(len(out))
		return nil
	})
	if err != nil {
		return err
	}
	name := a.String(f.Name)
	body, to := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w := bufio.NewWriterSize(to, 64<<10)
		err := eachLine(f, func(line []byte) error {
			out = a.Append(out[:0], line)
			_, err := w.Write(out)
			return err
		})
		to.CloseWithError(errors.Join(err, w.Flush()))
	}()
	err = write(name, size, body)
	err = errors.Join(err, body.Close())
	<-done
	return err
}

// String replaces what a text holds.
func (a *Anonymizer) String(text string) string { return string(a.Append(nil, []byte(text))) }

// WellKnown tells whether a word, in lower case, is one of Kubernetes or of networks, which
// stays even where it is part of a name.
func (a *Anonymizer) WellKnown(word string) bool { return a.words.core[word] }

// eachLine hands over a file's lines with what ends them.
func eachLine(f facts.Entry, do func(line []byte) error) error {
	body, err := f.Open()
	if err != nil {
		return err
	}
	lines := bufio.NewReaderSize(body, 64<<10)
	var long []byte
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line...)
			continue
		}
		if len(long) > 0 {
			long = append(long, line...)
			line = long
		}
		if len(line) > 0 {
			if err := do(line); err != nil {
				return err
			}
		}
		long = long[:0]
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
