package yamlline

import (
	"errors"
	"testing"
)

func TestSetYAML(t *testing.T) {
	tests := []struct {
		name, text, value string
		path              []string
		want              string // "" where it is refused
	}{
		{"plain", "a: 1\nmode: ipvs\n", "iptables", []string{"mode"}, "a: 1\nmode: iptables\n"},
		{"comment stays", "mode: ipvs   # since 2024\n", "iptables", []string{"mode"}, "mode: iptables   # since 2024\n"},
		{"quoted", "mode: \"ipvs\" # x\n", "iptables", []string{"mode"}, "mode: iptables # x\n"},
		{"sharp in quotes", "mode: \"a # b\"\n", "iptables", []string{"mode"}, "mode: iptables\n"},
		{"empty", "mode:\na: 1\n", "iptables", []string{"mode"}, "mode: iptables\na: 1\n"},
		{"CRLF", "mode: ipvs\r\na: 1\r\n", "iptables", []string{"mode"}, "mode: iptables\r\na: 1\r\n"},
		{"no end of line", "a: 1\nmode: ipvs", "iptables", []string{"mode"}, "a: 1\nmode: iptables"},
		{"quoted name", "\"mode\": ipvs\n", "iptables", []string{"mode"}, "\"mode\": iptables\n"},
		{"not the one inside", "x:\n  mode: a\nmode: ipvs\n", "iptables", []string{"mode"}, "x:\n  mode: a\nmode: iptables\n"},
		{"inside", "kubeconfig: a\nc:\n  # x\n  kubeconfig: b\n  qps: 1\n", "/c", []string{"c", "kubeconfig"}, "kubeconfig: a\nc:\n  # x\n  kubeconfig: /c\n  qps: 1\n"},
		{"not the one deeper inside", "c:\n  d:\n    k: a\n  k: b\n", "z", []string{"c", "k"}, "c:\n  d:\n    k: a\n  k: z\n"},
		{"put in behind the kind", "apiVersion: v1\nkind: X\nb: 1\n", "iptables", []string{"mode"}, "apiVersion: v1\nkind: X\nmode: iptables\nb: 1\n"},
		{"two families", "r: 10.0.0.0/8\n", "10.0.0.0/8,fd00::/48", []string{"r"}, "r: 10.0.0.0/8,fd00::/48\n"},
		{"what would be a number", "r: a\n", "12", []string{"r"}, "r: \"12\"\n"},
		{"text from the cluster that is YAML", "r: a\n", "x\nmode: ipvs", []string{"r"}, "r: \"x\\nmode: ipvs\"\n"},
		{"folded", "mode: >-\n  ipvs\n", "iptables", []string{"mode"}, ""},
		{"flow", "{mode: ipvs}\n", "iptables", []string{"mode"}, ""},
		{"anchor in use", "mode: &m ipvs\nother: *m\n", "iptables", []string{"mode"}, ""},
		{"nothing inside", "a: 1\n", "x", []string{"c", "k"}, ""},
		{"no YAML", "a: [1\n", "x", []string{"a"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Set(tt.text, tt.value, tt.path...)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestDropYAML(t *testing.T) {
	tests := []struct {
		name, text string
		path       []string
		want       string
	}{
		{"a line", "a: 1\nh: x # y\nb: 2\n", []string{"h"}, "a: 1\nb: 2\n"},
		{"one of two inside", "g:\n  A: true\n  B: true\n", []string{"g", "A"}, "g:\n  B: true\n"},
		{"the last inside", "g:\n  A: true\nb: 2\n", []string{"g", "A"}, "b: 2\n"},
		{"a flow with one", "g: {A: true}\nb: 2\n", []string{"g", "A"}, "b: 2\n"},
		{"a flow with two", "g: {A: true, B: true}\n", []string{"g", "A"}, ""},
		{"several lines", "h: |\n  x\nb: 2\n", []string{"h"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Drop(tt.text, tt.path...)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestSwapYAML(t *testing.T) {
	change := func(m map[string]any) {
		c, _ := m["c"].([]any)
		first, _ := c[0].(map[string]any)
		first["server"] = "https://b"
	}
	got, err := Swap("c:\n- server: \"https://a\" # old\n  n: x\n", "server", "https://a", "https://b", change)
	if want := "c:\n- server: \"https://b\" # old\n  n: x\n"; got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := Swap("c:\n- server: https://a\n- server: https://a\n", "server", "https://a", "https://b", change); !errors.Is(err, ErrByHand) {
		t.Errorf("of two lines with the value one was chosen: %v", err)
	}
}
