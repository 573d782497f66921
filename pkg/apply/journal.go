package apply

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	journalNamespace = "kube-system"
	journalLabel     = "app.kubernetes.io/managed-by"
	journalKey       = "repair.json"
	packedKey        = "repair.json.gz"
	journalPrefix    = "netdoctor-repair-"
)

// State is how far a repair has come.
type State string

// The states of a repair.
const (
	Pending    State = "pending"     // journalled; whether it was written is not known
	NotApplied State = "not-applied" // the API server refused it
	Applied    State = "applied"     // written, not verified
	TakingBack State = "taking-back" // being undone or rolled back
	Cured      State = "cured"       // written, and the fault is gone
	RolledBack State = "rolled-back" // taken back because it did not cure
	Undone     State = "undone"      // taken back by hand
)

// Repair is one entry of the journal.
type Repair struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Who     string    `json:"who,omitempty"`     // the user that the API server took the caller for
	Version string    `json:"version,omitempty"` // of the tool
	Server  string    `json:"server"`
	Context string    `json:"context,omitempty"`

	Check    string            `json:"check"`
	Fix      string            `json:"fix"`
	Subject  facts.Ref         `json:"subject"`
	Message  string            `json:"message,omitempty"`
	Evidence []checks.Evidence `json:"evidence,omitempty"`
	Places   []facts.Ref       `json:"places,omitempty"`
	Known    *Known            `json:"known,omitempty"`

	State    State       `json:"state"`
	Goal     State       `json:"goal,omitempty"`    // what it will be once it is taken back
	Outcome  string      `json:"outcome,omitempty"` // why it was taken back, or not verified
	Done     int         `json:"done"`              // how many steps are known to be written and not taken back
	Steps    []Step      `json:"steps"`
	Restarts []Restart   `json:"restarts,omitempty"`
	Rollouts []facts.Ref `json:"rollouts,omitempty"`

	// Place says where the entry is kept: "cluster" or the path of a file.
	Place string `json:"-"`
}

// Restart is a pod that is deleted after the changes.
type Restart struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid"`
}

// Open tells whether the repair, or a part of it, stands and can be taken back.
func (r *Repair) Open() bool { return r.State == Applied || r.State == Cured || r.Half() }

// Half tells whether it stopped before it was either written or taken back.
func (r *Repair) Half() bool { return r.State == Pending || r.State == TakingBack }

// newID makes an id that sorts by time: 20261125-031500-1f3a9c04.
func newID(now time.Time) string {
	var tail [4]byte
	_, _ = rand.Read(tail[:]) // never fails (crypto/rand since Go 1.24)
	return now.UTC().Format("20060102-150405") + "-" + hex.EncodeToString(tail[:])
}

// Journal keeps repairs: each in a ConfigMap of kube-system, or in a file of Dir where
// the caller may not create that.
type Journal struct {
	ConfigMaps typedcorev1.ConfigMapsGetter
	Dir        string // of this cluster's repairs; made when it is needed
}

// Write creates or replaces a repair's entry where it is kept.
func (j *Journal) Write(ctx context.Context, r *Repair) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if r.Place == "" || r.Place == "cluster" {
		err := j.writeConfigMap(ctx, r, data)
		if err == nil {
			r.Place = "cluster"
			return nil
		}
		elsewhere := apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || errors.Is(err, errTooLarge)
		if r.Place != "" || !elsewhere {
			return err
		}
	}
	return j.writeFile(r, data)
}

func (j *Journal) writeFile(r *Repair, data []byte) error {
	name := filepath.Join(j.Dir, r.ID+".json")
	if err := os.MkdirAll(j.Dir, 0o700); err != nil {
		return err
	}
	if r.Place == "" {
		// Another repair of the same second may have the same id by chance.
		if _, err := os.Lstat(name); err == nil {
			return fmt.Errorf("%s: %w", name, fs.ErrExist)
		}
	}
	if err := replaceFile(name, data); err != nil {
		return err
	}
	r.Place = name
	return nil
}

// replaceFile never leaves half an entry behind.
func replaceFile(name string, data []byte) error {
	if err := os.WriteFile(name+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// readable is up to which size an entry is kept as text. A ConfigMap holds 1 MiB of keys
// and values (k8s.io/api core/v1 MaxSecretSize); later states of an entry may add to it.
const (
	readable  = 256 << 10
	mostFits  = 1<<20 - 1<<10
	mostFirst = mostFits - 64<<10
)

var errTooLarge = errors.New("the entry does not fit into a ConfigMap")

func (j *Journal) writeConfigMap(ctx context.Context, r *Repair, data []byte) error {
	client := j.ConfigMaps.ConfigMaps(journalNamespace)
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: journalPrefix + r.ID, Labels: map[string]string{journalLabel: "kubectl-netdoctor"}},
	}
	if len(data) <= readable {
		cm.Data = map[string]string{journalKey: string(data)}
	} else {
		packed, err := pack(data)
		if err != nil {
			return err
		}
		if len(packed) > mostFits || r.Place == "" && len(packed) > mostFirst {
			return errTooLarge
		}
		cm.BinaryData = map[string][]byte{packedKey: packed}
	}
	if r.Place == "" {
		_, err := client.Create(ctx, cm, metav1.CreateOptions{FieldManager: fieldManager})
		return err
	}
	_, err := client.Update(ctx, cm, metav1.UpdateOptions{FieldManager: fieldManager})
	return err
}

func pack(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// mostUnpacked bounds what a damaged entry can make of itself.
const mostUnpacked = 64 << 20

func unpack(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, mostUnpacked))
}

// entryOf returns the text of an entry, nothing where it is damaged.
func entryOf(cm *corev1.ConfigMap) []byte {
	packed, found := cm.BinaryData[packedKey]
	if !found {
		return []byte(cm.Data[journalKey])
	}
	data, err := unpack(packed)
	if err != nil {
		return nil
	}
	return data
}

// List returns the repairs of this cluster, oldest first. Where the cluster's own
// entries cannot be read, or an entry is damaged, the error says so beside the others.
func (j *Journal) List(ctx context.Context) ([]*Repair, error) {
	inFiles, fileErr := j.listFiles()
	inCluster, clusterErr := j.listConfigMaps(ctx)
	out := append(inFiles, inCluster...)
	slices.SortFunc(out, func(a, b *Repair) int { return strings.Compare(a.ID, b.ID) })
	return out, errors.Join(fileErr, clusterErr)
}

func (j *Journal) listConfigMaps(ctx context.Context) (out []*Repair, errs error) {
	list, err := j.ConfigMaps.ConfigMaps(journalNamespace).List(ctx, metav1.ListOptions{LabelSelector: journalLabel + "=kubectl-netdoctor"})
	if err != nil {
		return nil, fmt.Errorf("reading the journal in namespace %s: %w", journalNamespace, err)
	}
	for _, cm := range list.Items {
		r := &Repair{Place: "cluster"}
		if !r.parse(entryOf(&cm)) || cm.Name != journalPrefix+r.ID {
			errs = errors.Join(errs, fmt.Errorf("the journal's entry ConfigMap %s/%s is damaged: key %s does not hold its repair", cm.Namespace, cm.Name, journalKey))
			continue
		}
		out = append(out, r)
	}
	return out, errs
}

func (j *Journal) listFiles() (out []*Repair, errs error) {
	entries, err := os.ReadDir(j.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	for _, e := range entries {
		name := filepath.Join(j.Dir, e.Name())
		if filepath.Ext(name) != ".json" {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("reading the journal: %w", err))
			continue
		}
		r := &Repair{Place: name}
		if !r.parse(data) || e.Name() != r.ID+".json" {
			errs = errors.Join(errs, fmt.Errorf("the journal's entry %s is damaged: it does not hold its repair", name))
			continue
		}
		out = append(out, r)
	}
	return out, errs
}

// anID matches what may stand where an ID is printed, or named as an argument.
var anID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// parse tells whether data holds a repair that can be worked with.
func (r *Repair) parse(data []byte) bool {
	return json.Unmarshal(data, r) == nil && anID.MatchString(r.ID) && 0 <= r.Done && r.Done <= len(r.Steps)
}
