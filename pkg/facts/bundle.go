package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/wire"
)

const (
	manifestFile = "bundle.json"
	gapsFile     = "gaps.json"
	nodesDir     = "_nodes"
	answersFile  = "_probe/answers.json"
	triesFile    = "_probe/tries.json"

	keptLogBytes = 256 << 10 // what is kept of a log: its end
)

// limits bound what a bundle may hold, so that a damaged or hostile one ends with an
// error and not with the machine's memory.
type limits struct {
	list    int64 // bytes of one list
	text    int64 // bytes of any other file
	kept    int64 // bytes of logs, answers and files of nodes that are kept, together
	archive int64 // bytes that a .tar.gz unpacks to
	files   int
}

// usualLimits leave room for the largest cluster that Kubernetes supports: 150,000
// pods of 6 KiB are 0.9 GiB. A log as cluster-info dump writes it is there whole.
func usualLimits() limits {
	return limits{list: 4 << 30, text: 64 << 20, kept: 1 << 30, archive: 16 << 30, files: 2_000_000}
}

// reader takes the files of a bundle one by one, in any order, and builds a snapshot.
type reader struct {
	bounds   limits
	b        *Builder
	manifest *Manifest
	gaps     map[string]string
	seen     map[*Source]bool
	lists    map[string]map[*Source]bool // by namespace: which lists are there
	files    int
	kept     int64
}

func newReader(bounds limits) *reader {
	return &reader{bounds: bounds, b: NewBuilder(time.Time{}, "", API), seen: map[*Source]bool{}, lists: map[string]map[*Source]bool{}}
}

// add reads one file. name is its slash-separated path inside the bundle.
func (r *reader) add(name string, size int64, body io.Reader) error {
	if r.files++; r.files > r.bounds.files {
		return fmt.Errorf("more than %d files", r.bounds.files)
	}
	read, limit := r.handler(name)
	switch {
	case read == nil:
		return nil // a file of another tool, or of a later minor version
	case size > limit:
		return fmt.Errorf("%d bytes are more than such a file may have (%d)", size, limit)
	}
	return read(io.LimitReader(body, size))
}

// handler returns what reads a file of this name, and how large one may be.
func (r *reader) handler(name string) (read func(io.Reader) error, limit int64) {
	parts := strings.Split(name, "/")
	base := parts[len(parts)-1]
	switch {
	case name == manifestFile:
		return r.addManifest, r.bounds.text
	case name == gapsFile:
		return func(body io.Reader) error { return decodeJSON(body, &r.gaps) }, r.bounds.text
	case name == answersFile:
		return r.addAnswers, r.bounds.text
	case name == triesFile:
		return r.addTries, r.bounds.text
	case parts[0] == nodesDir:
		return r.nodeHandler(parts[1:]), r.bounds.text
	case len(parts) <= 2 && strings.HasSuffix(base, ".json"):
		src := sourceNamed(strings.TrimSuffix(base, ".json"))
		if src == nil || !src.Object() {
			return nil, 0
		}
		return func(body io.Reader) error { return r.addList(src, parts[:len(parts)-1], body) }, r.bounds.list
	case len(parts) == 3 && strings.HasSuffix(base, ".log"):
		return func(body io.Reader) error {
			return r.addLog(parts[0], parts[1], strings.TrimSuffix(base, ".log"), body)
		}, r.bounds.text
	case len(parts) == 3 && base == "logs.txt":
		return func(body io.Reader) error { return r.addDumpLog(parts[0], parts[1], body) }, r.bounds.text
	case len(parts) == 4 && parts[2] == "metrics":
		return func(body io.Reader) error { return r.addMetrics(parts[0], parts[1], parts[3], body) }, r.bounds.text
	case len(parts) > 4 && parts[2] == "proxy":
		return func(body io.Reader) error { return r.addProxy(parts, body) }, r.bounds.text
	}
	return nil, 0
}

func (r *reader) nodeHandler(parts []string) func(io.Reader) error {
	switch {
	case len(parts) == 2 && parts[1] == "configz.json":
		return func(body io.Reader) error { return r.addConfigz(parts[0], body) }
	case len(parts) > 2 && parts[1] == "host":
		return func(body io.Reader) error { return r.addFile(parts[0], "/"+strings.Join(parts[2:], "/"), body) }
	}
	return nil
}

func (r *reader) addList(src *Source, namespace []string, body io.Reader) error {
	r.seen[src] = true
	for _, ns := range namespace {
		if r.lists[ns] == nil {
			r.lists[ns] = map[*Source]bool{}
		}
		r.lists[ns][src] = true
	}
	_, err := wire.JSON(body, func(raw []byte) error { return r.addItem(src, raw) })
	return err
}

// addItem takes one object. The kind may be left out, as typed lists do.
func (r *reader) addItem(src *Source, raw json.RawMessage) error {
	obj := New(src)
	if err := json.Unmarshal(raw, obj); err != nil {
		return err
	}
	if kind := obj.GetObjectKind().GroupVersionKind().Kind; kind != "" && kind != src.Kind {
		return fmt.Errorf("it is a %s, not a %s", kind, src.Kind)
	}
	if m, ok := obj.(metav1.Object); !ok || m.GetName() == "" {
		return errors.New("it has no name")
	}
	return r.b.Add(obj)
}

func (r *reader) addLog(namespace, pod, container string, body io.Reader) error {
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	r.seen[PodLogs] = true
	container, previous := strings.CutSuffix(container, ".previous")
	log := r.b.s.Logs[namespace+"/"+pod+"/"+container]
	if previous {
		log.Previous = tail(string(text))
	} else {
		log.Current = tail(string(text))
	}
	r.b.AddLog(namespace, pod, container, log)
	return r.keep(min(len(text), keptLogBytes))
}

func (r *reader) addProxy(parts []string, body io.Reader) error {
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	r.seen[Proxy] = true
	r.b.AddProxy(parts[0], parts[1], parts[3], path.Join(parts[4:]...), string(text))
	return r.keep(len(text))
}

// addMetrics takes the answer of a pod whose file is named for the time of it.
func (r *reader) addMetrics(namespace, pod, name string, body io.Reader) error {
	at, err := time.Parse(scrapeName, name)
	if err != nil {
		return fmt.Errorf("its name is not a time: %w", err)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	r.seen[Metrics] = true
	r.b.AddMetrics(namespace, pod, Scrape{at, string(text)})
	return r.keep(len(text))
}

func (r *reader) addConfigz(node string, body io.Reader) error {
	config, err := DecodeConfigz(body)
	if err != nil {
		return err
	}
	r.seen[Configz] = true
	r.b.AddConfigz(node, config)
	return nil
}

func (r *reader) addFile(node, path string, body io.Reader) error {
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	r.seen[Files] = true
	r.b.AddFile(node, path, string(text))
	return r.keep(len(text))
}

func (r *reader) addAnswers(body io.Reader) error {
	r.seen[Answers] = true
	return decodeJSON(body, &r.b.s.Answers)
}

func (r *reader) addTries(body io.Reader) error {
	r.seen[Tries] = true
	return decodeJSON(body, &r.b.s.Tries)
}

// keep counts text that stays in memory.
func (r *reader) keep(bytes int) error {
	if r.kept += int64(bytes); r.kept > r.bounds.kept {
		return fmt.Errorf("with it the logs and files of nodes are more than %d bytes", r.bounds.kept)
	}
	return nil
}

// DecodeConfigz reads what a kubelet answers on /configz.
func DecodeConfigz(body io.Reader) (*kubeletv1beta1.KubeletConfiguration, error) {
	var answer struct {
		Config *kubeletv1beta1.KubeletConfiguration `json:"kubeletconfig"`
	}
	if err := decodeJSON(body, &answer); err != nil {
		return nil, err
	}
	if answer.Config == nil {
		return nil, errors.New(`no "kubeletconfig" in it`)
	}
	for i := range answer.Config.RegisterWithTaints {
		if taint := &answer.Config.RegisterWithTaints[i]; taint.TimeAdded != nil && !writable(taint.TimeAdded.Time) {
			taint.TimeAdded = nil
		}
	}
	return answer.Config, nil
}
