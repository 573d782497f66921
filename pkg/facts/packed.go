package facts

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
)

const (
	listStart = `{"kind":"List","apiVersion":"v1","items":[` + "\n"
	listEnd   = "\n]}\n"
	separator = ",\n"
)

// packed is a list of a bundle while it is collected: its items as JSON, each behind a
// separator, compressed, since those of a large cluster are a gigabyte.
type packed struct {
	text  bytes.Buffer // gzip members, one after the other
	items int64        // bytes of the items and their separators
}

// size is how many bytes the list has.
func (p *packed) size() int64 {
	return int64(len(listStart)-len(separator)+len(listEnd)) + p.items
}

// reader returns the list. The first separator has nothing to part.
func (p *packed) reader() (io.Reader, error) {
	items, err := gzip.NewReader(bytes.NewReader(p.text.Bytes()))
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, items, int64(len(separator))); err != nil {
		return nil, err
	}
	return io.MultiReader(strings.NewReader(listStart), items, strings.NewReader(listEnd)), nil
}

// packer compresses what is appended to lists. Most of it comes list by list, so what was
// appended last waits for more of the same list.
type packer struct {
	zip     *gzip.Writer
	to      *packed
	waiting bytes.Buffer
}

// most is how many bytes wait to be compressed.
const most = 1 << 20

func (p *packer) append(to *packed, item []byte) error {
	if to != p.to || p.waiting.Len() > most {
		if err := p.flush(); err != nil {
			return err
		}
		p.to = to
	}
	p.waiting.WriteString(separator)
	p.waiting.Write(item)
	to.items += int64(len(separator) + len(item))
	return nil
}

func (p *packer) flush() error {
	if p.waiting.Len() == 0 {
		return nil
	}
	if p.zip == nil {
		p.zip = gzip.NewWriter(nil)
	}
	p.zip.Reset(&p.to.text)
	if _, err := p.waiting.WriteTo(p.zip); err != nil {
		return fmt.Errorf("compressing what was recorded: %w", err)
	}
	return p.zip.Close()
}
