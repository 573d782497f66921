package apply

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	journalNamespace = "kube-system"
	journalLabel     = "app.kubernetes.io/managed-by"
	journalKey       = "repair.json"
	journalPrefix    = "netdoctor-repair-"
)

// State is how far a repair has come.
type State string

// The states of a repair.
const (
	Pending    State = "pending"     // journalled; whether it was written is not known
	NotApplied State = "not-applied" // the API server refused it
	Applied    State = "applied"     // written, not verified
	Cured      State = "cured"       // written, and the fault is gone
	RolledBack State = "rolled-back" // taken back because it did not cure
	Undone     State = "undone"      // taken back by hand
)

// Repair is one entry of the journal.
type Repair struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Check   string    `json:"check"`
	Fix     string    `json:"fix"`
	Subject facts.Ref `json:"subject"`
	Server  string    `json:"server"`
	Context string    `json:"context,omitempty"`
	State   State     `json:"state"`
	Done    int       `json:"done"` // how many steps are known to be written
	Steps   []Step    `json:"steps"`

	// Place says where the entry is kept: "cluster" or the path of a file.
	Place string `json:"-"`
}

// Open tells whether the repair stands and can be taken back.
func (r *Repair) Open() bool { return r.State == Applied || r.State == Cured || r.State == Pending }

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
		err := j.writeConfigMap(ctx, r, string(data))
		if err == nil {
			r.Place = "cluster"
			return nil
		}
		if r.Place != "" || !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
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

func (j *Journal) writeConfigMap(ctx context.Context, r *Repair, data string) error {
	client := j.ConfigMaps.ConfigMaps(journalNamespace)
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: journalPrefix + r.ID, Labels: map[string]string{journalLabel: "kubectl-netdoctor"}},
		Data:       map[string]string{journalKey: data},
	}
	if r.Place == "" {
		_, err := client.Create(ctx, cm, metav1.CreateOptions{FieldManager: fieldManager})
		return err
	}
	_, err := client.Update(ctx, cm, metav1.UpdateOptions{FieldManager: fieldManager})
	return err
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
		if !r.parse([]byte(cm.Data[journalKey])) || cm.Name != journalPrefix+r.ID {
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

// parse tells whether data holds a repair that can be worked with.
func (r *Repair) parse(data []byte) bool {
	return json.Unmarshal(data, r) == nil && r.ID != "" && 0 <= r.Done && r.Done <= len(r.Steps)
}
