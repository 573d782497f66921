// Package agent is what runs on a node or in a pod for "check --depth probe" and "--depth
// host": it looks, tries, and prints one Result. It never talks to the API server and
// never changes the node.
package agent

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ResultVersion is the version of the form in which results travel.
const ResultVersion = 1

// Result is what one look at a node, or one round of a probe, brought.
type Result struct {
	Version int    `json:"version"`
	Node    string `json:"node"`

	// Files holds files and command output by absolute path, as facts.Snapshot.Files does.
	Files map[string]string `json:"files,omitempty"`

	// Gaps says by path why something that is there could not be read, or was cut. What is
	// not there at all stands in neither.
	Gaps map[string]string `json:"gaps,omitempty"`

	Tries []facts.Try `json:"tries,omitempty"`

	// Changed is what became of a change of the node.
	Changed *Changed `json:"changed,omitempty"`
}

const (
	// mostPacked bounds what one node may send: 1,000 nodes then stay below one gigabyte
	// with room to spare.
	mostPacked = 640 << 10
	// mostUnpacked bounds what a hostile or damaged result can make of itself.
	mostUnpacked = 32 << 20
	// lineBytes keeps a line below the 16 KiB at which container runtimes break lines.
	lineBytes = 8 << 10

	magic = "netdoctor-result"
)

// Write prints a result as lines of text that a container's log takes: a head with the
// version, the size and the SHA-256 of what follows, then base64 of gzip. A result that is
// too large for its bound loses its largest files, each of which becomes a gap.
func (r *Result) Write(w io.Writer) error {
	packed, err := r.pack()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(packed)
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s %d %d %s\n", magic, ResultVersion, len(packed), hex.EncodeToString(sum[:]))
	text := base64.StdEncoding.EncodeToString(packed)
	for len(text) > 0 {
		n := min(len(text), lineBytes)
		fmt.Fprintln(out, text[:n])
		text = text[n:]
	}
	return out.Flush()
}

func (r *Result) pack() ([]byte, error) {
	for {
		data, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		zip := gzip.NewWriter(&out)
		if _, err := zip.Write(data); err != nil {
			return nil, err
		}
		if err := zip.Close(); err != nil {
			return nil, err
		}
		if out.Len() <= mostPacked && len(data) <= mostUnpacked {
			return out.Bytes(), nil
		}
		if !r.shrink() {
			return nil, fmt.Errorf("the result takes %d bytes, more than %d", out.Len(), mostPacked)
		}
	}
}

// shrink takes the largest file out.
func (r *Result) shrink() bool {
	largest := ""
	for path, text := range r.Files {
		if largest == "" || len(text) > len(r.Files[largest]) || len(text) == len(r.Files[largest]) && path < largest {
			largest = path
		}
	}
	if largest == "" {
		return false
	}
	if r.Gaps == nil {
		r.Gaps = map[string]string{}
	}
	r.Gaps[largest] = fmt.Sprintf("too large to be sent: %d bytes", len(r.Files[largest]))
	delete(r.Files, largest)
	return true
}

// Read takes a result from a container's log. A log that was cut off, that something else
// wrote into, or that a later version wrote, is an error that says so: a result is whole
// or is none.
func Read(log io.Reader) (*Result, error) {
	lines := bufio.NewScanner(io.LimitReader(log, 2*mostPacked+1))
	lines.Buffer(nil, 2*lineBytes)
	if !lines.Scan() {
		return nil, errors.Join(errors.New("it printed nothing"), lines.Err())
	}
	size, sum, err := readHead(lines.Text())
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	for lines.Scan() {
		text.WriteString(strings.TrimSpace(lines.Text()))
	}
	packed, err := base64.StdEncoding.DecodeString(text.String())
	if got := sha256.Sum256(packed); err != nil || len(packed) != size || hex.EncodeToString(got[:]) != sum || lines.Err() != nil {
		return nil, fmt.Errorf("its result is cut off or damaged: %d of %d bytes came", len(packed), size)
	}
	return unpack(packed)
}

func readHead(line string) (size int, sum string, err error) {
	words := strings.Fields(line)
	if len(words) != 4 || words[0] != magic {
		return 0, "", fmt.Errorf("what it printed is no result: %.200q", line)
	}
	if version, err := strconv.Atoi(words[1]); err != nil || version != ResultVersion {
		return 0, "", fmt.Errorf("its result has version %.20q, and this netdoctor reads %d: use the image of this version", words[1], ResultVersion)
	}
	size, err = strconv.Atoi(words[2])
	if err != nil || size < 0 || size > mostPacked {
		return 0, "", fmt.Errorf("what it printed is no result: %.200q", line)
	}
	return size, words[3], nil
}

func unpack(packed []byte) (*Result, error) {
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("its result is damaged: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(zip, mostUnpacked+1))
	if err == nil && len(data) > mostUnpacked {
		err = fmt.Errorf("it unpacks to more than %d bytes", mostUnpacked)
	}
	r := new(Result)
	if err == nil {
		err = json.Unmarshal(data, r)
	}
	if err != nil {
		return nil, fmt.Errorf("its result is damaged: %w", err)
	}
	return r, nil
}
