package facts

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// keyOf builds a key that equal values alone have: each part stands behind its length.
type keyOf []byte

// keySum stands for a key, which may be long: nobody makes two of the same sum.
type keySum [sha256.Size]byte

func (k *keyOf) sum() keySum { return sha256.Sum256(*k) }

func (k *keyOf) number(n int) { *k = binary.AppendVarint(*k, int64(n)) }

func (k *keyOf) text(parts ...string) {
	k.number(len(parts))
	for _, s := range parts {
		k.number(len(s))
		*k = append(*k, s...)
	}
}

func (k *keyOf) flags(flags ...bool) {
	for _, f := range flags {
		if f {
			*k = append(*k, 1)
		} else {
			*k = append(*k, 0)
		}
	}
}

func (k *keyOf) optional(flag *bool) {
	k.flags(flag != nil, flag != nil && *flag)
}

func (k *keyOf) table(m map[string]string) {
	var few [16]string
	keys := slices.AppendSeq(few[:0], maps.Keys(m))
	slices.Sort(keys)
	k.number(len(keys))
	for _, key := range keys {
		k.text(key, m[key])
	}
}

func (k *keyOf) dnsConfig(c *corev1.PodDNSConfig) {
	k.flags(c != nil)
	if c == nil {
		return
	}
	k.text(c.Nameservers...)
	k.text(c.Searches...)
	k.number(len(c.Options))
	for _, o := range c.Options {
		k.flags(o.Value != nil)
		k.text(o.Name)
		if o.Value != nil {
			k.text(*o.Value)
		}
	}
}

func (k *keyOf) port(p *corev1.ContainerPort) {
	k.text(p.Name, string(p.Protocol), p.HostIP)
	k.number(int(p.ContainerPort))
	k.number(int(p.HostPort))
}

func (k *keyOf) toleration(t *corev1.Toleration) {
	k.text(t.Key, string(t.Operator), t.Value, string(t.Effect))
	k.flags(t.TolerationSeconds != nil)
	if t.TolerationSeconds != nil {
		k.number(int(*t.TolerationSeconds))
	}
}
