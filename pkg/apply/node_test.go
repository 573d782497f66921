package apply_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// settings stand in for nodes: Set guards the value, as a node does, and counts as a write of
// the server, so that what cuts its writes cuts this one.
type settings struct {
	s      *server
	values map[string]*string
	asked  []string
	refuse string // the key of the setting whose node says no
	says   error  // with which words; "its kubelet did not stay up" by default
	unread error  // of every read
}

func (n *settings) Value(_ context.Context, s facts.Setting) (*string, error) {
	n.asked = append(n.asked, "read "+s.Key())
	return n.values[s.Key()], n.unread
}

func (n *settings) Set(_ context.Context, s facts.Setting, to *string) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("what became of the node is not known")
		}
	}()
	line := "SET " + s.Key()
	if n.s.before != nil {
		n.s.before(line)
	}
	n.asked = append(n.asked, line)
	switch {
	case !facts.Same(n.values[s.Key()], s.Value):
		return apply.ErrChanged
	case n.refuse == s.Key() && n.says != nil:
		return n.says
	case n.refuse == s.Key():
		return fmt.Errorf("its kubelet did not stay up: %w", facts.ErrAsItWas)
	}
	n.values[s.Key()] = to
	if n.s.after != nil {
		n.s.after(line)
	}
	return nil
}

// wrote are the settings that were written, or tried to be.
func (n *settings) wrote() (out []string) {
	for _, line := range n.asked {
		if strings.HasPrefix(line, "SET ") {
			out = append(out, line)
		}
	}
	return out
}

// texts are all values, nil as "none".
func (n *settings) texts() map[string]string {
	out := map[string]string{}
	for key, v := range n.values {
		if out[key] = "none"; v != nil {
			out[key] = *v
		}
	}
	return out
}

func word(text string) *string { return &text }

var (
	resolvConf = facts.Setting{Node: "quince-7", Path: "/var/lib/kubelet/config.yaml", Field: "resolvConf", Unit: "kubelet.service"}
	forwarding = facts.Setting{Node: "medlar-2", Path: "/proc/sys/net/ipv4/ip_forward"}
	lasting    = facts.Setting{Node: "medlar-2", Path: "/etc/sysctl.d/99-zz-netdoctor-ipv4-ip_forward.conf"}
)

var (
	oldSettings = map[string]string{resolvConf.Key(): "none", forwarding.Key(): "0", lasting.Key(): "none"}
	newSettings = map[string]string{resolvConf.Key(): "/run/real.conf", forwarding.Key(): "1", lasting.Key(): "net.ipv4.ip_forward = 1\n"}
)

func set(s facts.Setting, from, to *string) fixes.Change {
	return fixes.Change{Before: fixes.SettingObject(s.With(from)), After: fixes.SettingObject(s.With(to))}
}

// mixed is a plan over two nodes and an object between them.
func mixed(t *testing.T) (*settings, *unstructured.Unstructured, fixes.Plan) {
	t.Helper()
	lunch := configMap("lunch", map[string]any{"to": "old lunch"})
	s := newServer(t, lunch)
	n := &settings{s: s, values: map[string]*string{resolvConf.Key(): nil, forwarding.Key(): word("0"), lasting.Key(): nil}}
	return n, lunch, plan(set(resolvConf, nil, word("/run/real.conf")), change(lunch, "new lunch"),
		set(forwarding, word("0"), word("1")), set(lasting, nil, word("net.ipv4.ip_forward = 1\n")))
}

func (n *settings) applier(t *testing.T) *apply.Applier {
	t.Helper()
	a := n.s.applier(t)
	a.Nodes = n
	return a
}

func (n *settings) is(t *testing.T, lunch *unstructured.Unstructured, want map[string]string, text string) {
	t.Helper()
	same(t, "settings", want, n.texts())
	same(t, "object", text, to(n.s.get(lunch)))
}

func TestNodesPreviewApplyUndo(t *testing.T) {
	n, lunch, p := mixed(t)
	a := n.applier(t)
	previews, err := a.Preview(t.Context(), p)
	if err != nil || len(previews) != 4 {
		t.Fatalf("%d previews, %v", len(previews), err)
	}
	if s, err := fixes.SettingOf(previews[2].After); err != nil || !facts.Same(s.Value, word("1")) {
		t.Errorf("%v: %+v would be made", err, s)
	}
	same(t, "writes of the preview", []string(nil), n.wrote())

	if _, err := a.Apply(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	n.is(t, lunch, newSettings, "new lunch")
	r := only(t, a)
	if !r.OnNodes() {
		t.Error("the entry does not tell that nodes were changed")
	}
	n.asked = nil
	if _, err := a.PreviewUndo(t.Context(), r, false); err != nil || len(n.wrote()) > 0 {
		t.Errorf("%v, wrote %v", err, n.wrote())
	}
	if err := a.Undo(t.Context(), r, false); err != nil {
		t.Fatal(err)
	}
	n.is(t, lunch, oldSettings, "old lunch")
	same(t, "order", []string{"SET " + lasting.Key(), "SET " + forwarding.Key(), "SET " + resolvConf.Key()}, n.wrote())
}

// TestJournalOfNodes: an entry holds the one value, and nothing else of a file.
func TestJournalOfNodes(t *testing.T) {
	n, _, p := mixed(t)
	a := n.applier(t)
	if _, err := a.Apply(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	known := []string{"node", "path", "field", "unit", "value"}
	for _, s := range only(t, a).Steps {
		for _, o := range []*unstructured.Unstructured{s.Before, s.After} {
			if !fixes.IsSetting(o) {
				continue
			}
			fields, _, _ := unstructured.NestedMap(o.Object, "setting")
			for name := range fields {
				if !slices.Contains(known, name) {
					t.Errorf("%s: the entry holds %q", s.Ref, name)
				}
			}
			same(t, "members of an entry's object", []string{"apiVersion", "kind", "metadata", "setting"}, slices.Sorted(maps.Keys(o.Object)))
		}
	}
}

// TestNodesResumeKilled cuts after each write, of the journal, of objects and of nodes, before
// and after its effect: both ends can be reached.
func TestNodesResumeKilled(t *testing.T) {
	const writes = 9 // the entry, then four steps with the entry after each
	for after := range writes {
		for _, effect := range []bool{true, false} {
			for _, forward := range []bool{true, false} {
				t.Run(fmt.Sprintf("after %d, effect %t, forward %t", after, effect, forward), func(t *testing.T) {
					n, lunch, p := mixed(t)
					killed(t, n.s, after, effect, func() { _, _ = n.applier(t).Apply(t.Context(), p, nil) })
					a := n.applier(t)
					list, err := a.Journal.List(t.Context())
					if err != nil || len(list) == 0 {
						n.is(t, lunch, oldSettings, "old lunch")
						return // it was not begun
					}
					r := only(t, a)
					if forward {
						if err := a.Resume(t.Context(), r); err != nil {
							t.Error(err)
						}
						n.is(t, lunch, newSettings, "new lunch")
						return
					}
					if err := a.Undo(t.Context(), r, false); err != nil {
						t.Error(err)
					}
					n.is(t, lunch, oldSettings, "old lunch")
				})
			}
		}
	}
}

// TestNodeSaysNo takes back what was written before it.
func TestNodeSaysNo(t *testing.T) {
	n, lunch, p := mixed(t)
	n.refuse = forwarding.Key()
	_, err := n.applier(t).Apply(t.Context(), p, nil)
	if !errors.Is(err, facts.ErrAsItWas) {
		t.Errorf("got error %v", err)
	}
	n.is(t, lunch, oldSettings, "old lunch")
	same(t, "entry", []apply.State{apply.RolledBack}, n.s.entries(t))
}

// TestNodeFails: whether the node is as it was decides what becomes of the entry.
func TestNodeFails(t *testing.T) {
	for want, says := range map[apply.State]error{
		apply.NotApplied: facts.AsItWas(errors.New("no pod starts")),
		apply.Pending:    errors.New("the pod is gone"),
	} {
		n, _, p := mixed(t)
		p.Changes = slices.DeleteFunc(p.Changes, func(c fixes.Change) bool { return c.Ref().Name != forwarding.Key() })
		n.refuse, n.says = forwarding.Key(), says
		r, err := n.applier(t).Apply(t.Context(), p, nil)
		if err == nil || r.State != want || !strings.Contains(err.Error(), says.Error()) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: got %v and %s, want %s", says, err, r.State, want)
		}
	}
}

// TestNodeUnread: what the API server says of a pod, a Secret or the node itself is not said of
// the setting: it is there, and still to be taken back.
func TestNodeUnread(t *testing.T) {
	n, _, p := mixed(t)
	a := n.applier(t)
	r, err := a.Apply(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.unread = fmt.Errorf("reading --image-pull-secret: %w", apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "typo"))
	for _, force := range []bool{false, true} {
		if err := a.Undo(t.Context(), r, force); err == nil || errors.Is(err, apply.ErrChanged) {
			t.Errorf("force %t: got error %v", force, err)
		}
	}
	same(t, "entry", []apply.State{apply.Applied}, n.s.entries(t))
}

// TestNodeChanged: what somebody else has set is a conflict; force takes it back all the same.
func TestNodeChanged(t *testing.T) {
	n, lunch, p := mixed(t)
	a := n.applier(t)
	n.values[resolvConf.Key()] = word("/etc/mine")
	if _, err := a.Apply(t.Context(), p, nil); !errors.Is(err, apply.ErrChanged) {
		t.Errorf("apply: got error %v", err)
	}
	same(t, "object", "old lunch", to(n.s.get(lunch)))

	n, lunch, p = mixed(t)
	a = n.applier(t)
	r, err := a.Apply(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.values[resolvConf.Key()], n.asked = word("/etc/mine"), nil
	var conflict *apply.Conflict
	if err := a.Undo(t.Context(), r, false); !errors.As(err, &conflict) || conflict.Ref.Name != resolvConf.Key() {
		t.Errorf("undo: got error %v", err)
	}
	same(t, "written", []string(nil), n.wrote())
	if err := a.Undo(t.Context(), r, true); err != nil {
		t.Fatal(err)
	}
	n.is(t, lunch, oldSettings, "old lunch")
}

// TestWithoutNodes: nobody has allowed it.
func TestWithoutNodes(t *testing.T) {
	n, lunch, p := mixed(t)
	a := n.s.applier(t)
	if _, err := a.Preview(t.Context(), p); !strings.Contains(errText(err), "--allow-node-changes") {
		t.Errorf("preview: got error %v", err)
	}
	if _, err := a.Apply(t.Context(), p, nil); !errors.Is(err, facts.ErrAsItWas) {
		t.Errorf("apply: got error %v", err)
	}
	n.is(t, lunch, oldSettings, "old lunch")
	same(t, "entry", []apply.State{apply.NotApplied}, n.s.entries(t))
}
