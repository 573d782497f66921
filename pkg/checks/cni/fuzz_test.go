package cni

import (
	"encoding/json"
	"net/netip"
	"path"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/test/seeds"
)

// FuzzFlannelNet gives any text as net-conf.json. What is accepted names a network of each
// family or none, in its shortest form, and is read as the same when it is written out.
func FuzzFlannelNet(f *testing.F) {
	for _, text := range seeds.Values(f, "net-conf.json") {
		f.Add(text)
	}
	for _, text := range []string{
		"", "null", "{}", "[]", `{"Network":null}`, `{"Network":"10.244.0.0/16","network":"10.0.0.0/8"}`, `{"Network":"10.244.3.7/16"}`, `{"Network":"0.0.0.0/0"}`,
		`{"Network":"fd00::/48"}`, `{"IPv6Network":"fd00:1::7/48","EnableIPv6":true}`, `{"IPv6Network":"10.0.0.0/8","EnableIPv6":true}`,
		`{"EnableIPv4":false,"Network":"10.0.0.0/8"}`, `{"Network":"::ffff:10.0.0.0/104"}`, `{"Network":"10.0.0.0/33"}`, `{"Network":"10.0.0.0/-1"}`,
		`{"Network":"10.0.0.0/08"}`, `{"Network":" 10.0.0.0/8"}`, `{"Network":"fe80::1%eth0/64"}`, `{"Network":"10.0.0.0/8"}{}`, `{"Network":["10.0.0.0/8"]}`,
		`{"Backend":` + strings.Repeat("[", 20_000), "{\"Network\":\"10.0.0.0/8\",\"x\":\"\xff\"}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, ok := parsedNet(text)
		if !ok {
			if n.v4.IsValid() || n.v6.IsValid() {
				t.Fatalf("refused, and read as %s and %s", n.v4, n.v6)
			}
			return
		}
		config := map[string]any{"EnableIPv4": n.v4.IsValid(), "EnableIPv6": n.v6.IsValid()}
		for key, p := range map[string]netip.Prefix{"Network": n.v4, "IPv6Network": n.v6} {
			if !p.IsValid() {
				continue
			}
			if p != p.Masked() || p.Addr().Zone() != "" || n.leavesOut(p) {
				t.Errorf("%s: %s is in no network in its shortest form", key, p)
			}
			config[key] = p
		}
		written, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		again, ok := parsedNet(string(written))
		if !ok || again.v4 != n.v4 || again.v6 != n.v6 {
			t.Errorf("got %s and %s, written out as %s %s and %s", n.v4, n.v6, written, again.v4, again.v6)
		}
	})
}

func parsedNet(text string) (flannelNet, bool) {
	return parseFlannelNet(&corev1.ConfigMap{Data: map[string]string{"net-conf.json": text}})
}

// FuzzConf gives any text as the network configuration that an agent copies to a file of
// any kind. What is accepted calls plugins, and so does what says nothing else.
func FuzzConf(f *testing.F) {
	targets := []string{"", "/etc/cni/net.d/10-a.conflist", "/etc/cni/net.d/10-a.conf", "/host/etc/cni/net.d/10-a.json"}
	texts := seeds.Values(f, confKey)
	for _, text := range seeds.Files(f, func(name string) bool { return path.Ext(name) == ".conflist" }) {
		texts = append(texts, string(text))
	}
	texts = append(texts, "", "null", "{}", "[]", `{"name":null,"plugins":[{"type":"a"}]}`, `{"name":"","plugins":[{"type":"a"},{}]}`, `{"name":"a","plugins":[null]}`,
		`{"name":"a","type":"b"}`, `{"type":"b"}`, `{"type":"b","name":"a","plugins":[{"type":"c"}]}`, `{"name":"a","plugins":{}}`, `{"NAME":"a","Plugins":[{"TYPE":"c"}]}`,
		`{"name":"a","plugins":[{"type":"c"}]}{}`, `{"name":1,"plugins":[{"type":"c"}]}`, `{"name":"\ud800","plugins":[{"type":"\u001b[2J"}]}`, "{\"type\":\"\xff\"}",
		"\ufeff{}", `{"name":"a","plugins":`+strings.Repeat("[", 20_000), `{"name":"a","plugins":[{"type":"c"},]}`, `{"type":"../../bin/sh"}`)
	for i, text := range texts {
		f.Add(text, uint8(i))
	}
	f.Fuzz(func(t *testing.T, text string, at uint8) {
		c := conf{cm: &corev1.ConfigMap{Data: map[string]string{confKey: text}}, target: targets[int(at)%len(targets)]}
		types, err := c.parse()
		if err != nil {
			if types != nil || len(err.Error()) > 1000+8*len(text) {
				t.Errorf("got %q and %d bytes of error", types, len(err.Error()))
			}
			return
		}
		if len(types) == 0 || slices.Contains(types, "") || !json.Valid([]byte(text)) {
			t.Fatalf("accepted, with the plugins %q", types)
		}
		plugins := []map[string]string{}
		for _, name := range types {
			plugins = append(plugins, map[string]string{"type": name})
		}
		for _, alone := range []map[string]any{{"name": "a", "plugins": plugins}, {"type": types[0]}} {
			written, err := json.Marshal(alone)
			if err != nil {
				t.Fatal(err)
			}
			c.cm.Data[confKey] = string(written)
			if again, err := c.parse(); err == nil && slices.Equal(again, types) {
				return
			}
		}
		t.Errorf("%q is refused with the plugins %q alone", c.target, types)
	})
}
