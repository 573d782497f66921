package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ChangeNode reads or writes one setting of the node whose directories stand below root. It
// writes only over the value that the change names, each file in one step, and restarts the
// setting's unit. Where that one does not stay up, everything is put back.
func ChangeNode(ctx context.Context, root string, c Change) *Changed {
	return node{root: root, patience: restartTime}.change(ctx, c)
}

func (n node) change(ctx context.Context, c Change) *Changed {
	now, err := n.value(c.Setting)
	if err != nil {
		return &Changed{Refused: err.Error()}
	}
	if c.Setting.Unit != "" {
		if err := n.unitRuns(ctx, c.Setting.Unit, c.Setting.Path); err != nil {
			return &Changed{Now: now, Refused: err.Error()}
		}
	}
	if !c.Write {
		return &Changed{Now: now}
	}
	if !facts.Same(now, c.Setting.Value) {
		return &Changed{Now: now, Differs: true}
	}
	if err := ctx.Err(); err != nil {
		return &Changed{Now: now, Refused: err.Error()}
	}
	back, err := n.set(c.Setting, now, c.To)
	if errors.Is(err, errDiffers) {
		return &Changed{Differs: true}
	}
	if err != nil {
		return &Changed{Now: now, Refused: err.Error()}
	}
	if c.Setting.Unit == "" {
		return n.written(c)
	}
	failed := n.restart(ctx, c.Setting.Unit)
	if failed == nil {
		return n.written(c)
	}
	why := fmt.Sprintf("%s did not stay up with it: %v", c.Setting.Unit, failed)
	if err := back(); err != nil {
		return &Changed{Now: c.To, Broken: fmt.Sprintf("%s; and it could not be put back: %v", why, err)}
	}
	if err := n.restart(context.WithoutCancel(ctx), c.Setting.Unit); err != nil {
		return &Changed{Now: now, Broken: fmt.Sprintf("%s; it was put back, and yet: %v", why, err)}
	}
	return &Changed{Now: now, Refused: why + "; it was put back"}
}

// written reads what was written: a kernel may take another value for it.
func (n node) written(c Change) *Changed {
	now, err := n.value(c.Setting)
	switch {
	case err != nil:
		return &Changed{Broken: "it was written, and cannot be read again: " + err.Error()}
	case !facts.Same(now, c.To):
		return &Changed{Now: now, Broken: "it was written, and is another value now"}
	}
	return &Changed{Now: now}
}

// node is the machine whose directories stand below a root.
type node struct {
	root     string
	patience time.Duration // with one restart of a unit
}

func (n node) tree() tree { return tree{dir: n.root} }

// value returns a setting's value, nil where it is not there.
func (n node) value(s facts.Setting) (*string, error) {
	if s.Moves {
		return n.placeOf(s)
	}
	text, err := n.whole(s.Path)
	if errors.Is(err, errAbsent) && s.Field == "" {
		return nil, nil
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", s.Path, err)
	case s.Field != "":
		return fieldOf(text, s)
	case strings.HasPrefix(s.Path, "/proc/"):
		text = strings.TrimSpace(text)
	}
	return &text, nil
}

// whole reads a file that is to be written: one that was cut off must not be.
func (n node) whole(name string) (string, error) {
	text, cut, err := n.tree().read(name, mostFileBytes)
	if err == nil && cut {
		err = fmt.Errorf("is larger than %d KiB", mostFileBytes>>10)
	}
	return text, err
}

// kubeletKind is the kind of the files that fields are set in: the kubelet takes none without
// it (k8s.io/kubernetes pkg/kubelet/kubeletconfig/util/codec).
const kubeletKind = "KubeletConfiguration"

func fieldOf(text string, s facts.Setting) (*string, error) {
	var fields map[string]any
	if err := yaml.Unmarshal([]byte(text), &fields); err != nil || fields["kind"] != kubeletKind {
		return nil, fmt.Errorf("%s is no %s in YAML", s.Path, kubeletKind)
	}
	switch v := fields[s.Field].(type) {
	case nil:
		return nil, nil
	case string:
		return &v, nil
	}
	return nil, fmt.Errorf("%s of %s is no text", s.Field, s.Path)
}

// placeOf tells where a file lies that may have been moved aside.
func (n node) placeOf(s facts.Setting) (*string, error) {
	var found []string
	for _, name := range []string{s.Path, s.Aside()} {
		file, err := n.tree().open(name, false)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		file.Close()
		found = append(found, name)
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return &found[0], nil
	}
	return nil, fmt.Errorf("both %s and %s are there", s.Path, s.Aside())
}
