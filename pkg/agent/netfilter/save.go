package netfilter

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Names of chains that kube-proxy and kubelet write.
const (
	kubeServices  = "KUBE-SERVICES"
	kubeNodePorts = "KUBE-NODEPORTS"
	kubeExternal  = "KUBE-EXTERNAL-SERVICES"
	kubeMarkMasq  = "KUBE-MARK-MASQ"
)

// Save holds what one of the four iptables of a node holds, ip or ip6, of nf_tables or
// legacy.
type Save struct {
	mode   string
	tables map[string]*table
	names  map[string]string
	size   int
}

// NewSave returns an empty one; mode is that of host.ServiceRule.
func NewSave(mode string) *Save {
	return &Save{mode: mode, tables: map[string]*table{}, names: map[string]string{}}
}

type table struct{ chains map[string]*chain }

// chain is one chain of a table: lines to print, or, where it belongs to a single Service,
// where it leads to.
type chain struct {
	name   string
	policy string // "-" of a chain that is not at a hook
	order  int    // of the hook
	lines  []byte
	ways   []way
	maps   []string // of nf_tables, that hold more ways
	fronts []front
}

// way is what one rule of a chain leads to.
type way struct {
	to             string // a chain
	dnat           netip.AddrPort
	inside, sticky bool
}

// front is a rule for one port of one Service.
type front struct {
	proto, target string
	dst           Option
	port          uint16
	comment       string
}

// mostText bounds the text of one file.
const mostText = 4 << 20

// Table notes that a table is there.
func (s *Save) Table(name string) {
	if s.tables[name] == nil {
		s.tables[name] = &table{chains: map[string]*chain{}}
	}
}

// Chain notes a chain: its policy and the number of its hook, or "-".
func (s *Save) Chain(table, name, policy string, hook int) {
	s.Table(table)
	s.tables[table].chains[name] = &chain{name: name, policy: policy, order: hook}
}

// Rule takes one rule of a chain; nothing of it is kept.
func (s *Save) Rule(table string, name []byte, r *Rule) {
	t := s.tables[table]
	if t == nil {
		return
	}
	c := t.chains[string(name)]
	if c == nil {
		return
	}
	if singleService(c.name) {
		s.way(c, r)
		return
	}
	if r.Chain {
		s.way(c, r)
	}
	if dispatches(c.name) && r.DPort != 0 && r.Target != "ACCEPT" {
		c.fronts = append(c.fronts, front{s.intern(r.Proto.Value), s.intern(r.Target), r.Dst, r.DPort, comment(r)})
		return
	}
	if s.size <= mostText {
		before := len(c.lines)
		c.lines = append(append(c.lines, r.Text(word(c.name))...), '\n')
		s.size += len(c.lines) - before
	}
}

func (s *Save) way(c *chain, r *Rule) {
	if r.DNAT.IsValid() || r.Chain && r.Target != kubeMarkMasq {
		w := way{dnat: r.DNAT, inside: r.inside, sticky: r.sticky}
		if r.Chain {
			w.to = s.intern(r.Target)
		}
		c.ways = append(c.ways, w)
	}
}

// intern keeps one copy of a name: most stand in several rules.
func (s *Save) intern(name string) string {
	if kept, ok := s.names[name]; ok {
		return kept
	}
	s.names[name] = name
	return name
}

func comment(r *Rule) string {
	for _, m := range r.Matches {
		if m.Name == "comment" {
			return m.Args
		}
	}
	return ""
}

// singleService tells whether a chain is for one port of one Service, or for one endpoint.
func singleService(chain string) bool {
	for _, prefix := range []string{"KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-FW-", "KUBE-XLB-"} {
		if strings.HasPrefix(chain, prefix) {
			return true
		}
	}
	return false
}

// dispatches tells whether a chain holds rules for single Services. Those that accept are
// not among them: they are for health checks of some.
func dispatches(chain string) bool {
	return chain == kubeServices || chain == kubeNodePorts || chain == kubeExternal
}

// Text returns everything but the rules of single Services in the form of iptables-save; ""
// where there is no table. A text that would be too large is an error.
func (s *Save) Text() (string, error) {
	if s.size > mostText {
		return "", fmt.Errorf("larger than %d bytes", mostText)
	}
	var b strings.Builder
	for _, name := range sortedKeys(s.tables) {
		chains := s.tables[name].sorted()
		fmt.Fprintf(&b, "*%s\n", name)
		for _, c := range chains {
			fmt.Fprintf(&b, ":%s %s [0:0]\n", word(c.name), c.policy)
		}
		for _, c := range chains {
			b.Write(c.lines)
		}
		b.WriteString("COMMIT\n")
	}
	return b.String(), nil
}

// sorted returns the chains that are printed: those at hooks first.
func (t *table) sorted() []*chain {
	var out []*chain
	for _, c := range t.chains {
		if !singleService(c.name) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b *chain) int {
		switch {
		case (a.policy == "-") != (b.policy == "-"):
			return map[bool]int{true: 1, false: -1}[a.policy == "-"]
		case a.order != b.order:
			return a.order - b.order
		}
		return strings.Compare(a.name, b.name)
	})
	return out
}
