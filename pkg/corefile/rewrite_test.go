package corefile

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

var rewriteOddities = []string{
	"import {", ". {\nforward . /etc/resolv.conf\nx {\nimport }\n}\n}",
	". {\nforward . /etc/resolv.conf#as is\n}",
	". {\nforward . 10.0.0.2 /etc/resolv.conf 10.0.0.3\n}",
	". {\nforward . 10.0.0.2#x /etc/resolv.conf [2001:db8::2]:5353\n}",
	". {\nforward . 10.0.0.2 [2001:db8::2]:5353 /etc/resolv.conf#x y\n}",
	". {\nforward . \"10.0.0.2\"/etc/resolv.conf#x y\n}",
	". {\nforward . 10.0.0.2\u00a0/etc/resolv.conf 127.0.0.1 [::1]:53 127.0.0.1:54\n}",
	".:5353 {\nbind 127.0.0.2\nforward . 127.0.0.2:5353 127.0.0.3:5353\n}",
	"(f) {\nforward . /etc/resolv.conf\n}\n. {\nimport f\n}",
	". {\nforward . /etc/resolv.conf\n} b {\nproxy . /etc//resolv.conf {\na }\n}",
	". {\n\tforward . {$UPSTREAM} /etc/resolv.conf\n}",
	". {\nforward . /etc/resolv.\rconf\n}",
	". {\nforward . dns:///etc/resolv.conf [/etc/resolv.conf] ::ffff:127.0.0.1\n}",
}

func upstreams(texts ...string) []netip.AddrPort {
	var all []netip.AddrPort
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil {
			all = append(all, netip.AddrPortFrom(addr, 0))
			continue
		}
		all = append(all, netip.MustParseAddrPort(text))
	}
	return all
}

func TestApply(t *testing.T) {
	r := Rewrite{To: upstreams("10.0.0.2", "[2001:db8::2]:5353"), Self: true}
	const to = "10.0.0.2 [2001:db8::2]:5353"
	for _, tt := range []struct {
		name, text, want string
		edits            []Edit
	}{
		{"one block", ".:53 {\n  forward . /etc/resolv.conf\n}\n", ".:53 {\n  forward . " + to + "\n}\n",
			[]Edit{{2, "/etc/resolv.conf", to}}},
		{"options stay", ". {\nforward . /etc/resolv.conf { # both\n\tmax_concurrent 1000\n}\n}",
			". {\nforward . " + to + " { # both\n\tmax_concurrent 1000\n}\n}", []Edit{{2, "/etc/resolv.conf", to}}},
		{"comment behind", ". {\nforward\t.  /etc/resolv.conf  # the node's\n}", ". {\nforward\t.  " + to + "  # the node's\n}",
			[]Edit{{2, "/etc/resolv.conf", to}}},
		{"comment touches", ". {\nforward . /etc/resolv.conf#theirs\n}", ". {\nforward . " + to + "#theirs\n}",
			[]Edit{{2, "/etc/resolv.conf", to}}},
		{"carriage returns", ". {\r\nforward . /etc/resolv.conf\r\n}\r\n", ". {\r\nforward . " + to + "\r\n}\r\n",
			[]Edit{{2, "/etc/resolv.conf", to}}},
		{"no braces, no last line", "\n\n.\nforward . /etc/resolv.conf", "\n\n.\nforward . " + to, []Edit{{4, "/etc/resolv.conf", to}}},
		{"conditional zone", "corp {\nforward . 10.1.2.3\n}\nlab {\nforward . /etc/resolv.conf\n}\n. {\nforward lab /etc/resolv.conf\n}",
			"corp {\nforward . 10.1.2.3\n}\nlab {\nforward . " + to + "\n}\n. {\nforward lab " + to + "\n}",
			[]Edit{{5, "/etc/resolv.conf", to}, {8, "/etc/resolv.conf", to}}},
		{"among others", ". {\nforward . 8.8.8.8 /etc/resolv.conf 9.9.9.9\n}", ". {\nforward . 8.8.8.8 " + to + " 9.9.9.9\n}",
			[]Edit{{2, "/etc/resolv.conf", to}}},
		{"partly there", ". {\nforward . dns://10.0.0.2:53 /etc/resolv.conf\n}", ". {\nforward . dns://10.0.0.2:53 [2001:db8::2]:5353\n}",
			[]Edit{{2, "/etc/resolv.conf", "[2001:db8::2]:5353"}}},
		{"all there", ". {\nforward . 10.0.0.2 \t/etc/resolv.conf [2001:db8::2]:5353 #c\n}", ". {\nforward . 10.0.0.2 [2001:db8::2]:5353 #c\n}",
			[]Edit{{2, "/etc/resolv.conf", ""}}},
		{"not the same over TLS", ". {\nforward . tls://10.0.0.2:53 /etc/resolv.conf\n}", ". {\nforward . tls://10.0.0.2:53 " + to + "\n}",
			[]Edit{{2, "/etc/resolv.conf", to}}},
		{"there as a mapped address", ". {\nforward . ::ffff:10.0.0.2 /etc/resolv.conf\n}", ". {\nforward . ::ffff:10.0.0.2 [2001:db8::2]:5353\n}",
			[]Edit{{2, "/etc/resolv.conf", "[2001:db8::2]:5353"}}},
		{"there with another port", ". {\nforward . 10.0.0.2:54 /etc/resolv.conf\n}", ". {\nforward . 10.0.0.2:54 " + to + "\n}",
			[]Edit{{2, "/etc/resolv.conf", to}}},
		{"as many as CoreDNS takes", ". {\nforward ." + strings.Repeat(" 8.8.8.8", 13) + " /etc/resolv.conf\n}",
			". {\nforward ." + strings.Repeat(" 8.8.8.8", 13) + " " + to + "\n}", []Edit{{2, "/etc/resolv.conf", to}}},
		{"twice", ". {\nforward . dns:///etc/resolv.conf 8.8.8.8 127.0.0.1:53\n}", ". {\nforward . " + to + " 8.8.8.8\n}",
			[]Edit{{2, "dns:///etc/resolv.conf", to}, {2, "127.0.0.1:53", ""}}},
		{"itself", ". {\nforward . ::1\n}", ". {\nforward . " + to + "\n}", []Edit{{2, "::1", to}}},
		{"proxy", ". {\nproxy . /etc/resolv.conf {\nspray\n}\n}", ". {\nproxy . " + to + " {\nspray\n}\n}",
			[]Edit{{2, "/etc/resolv.conf", to}}},
		{"beside imports", ". {\nforward . /etc/resolv.conf\nimport x/*.override\n}\nimport x/*.server",
			". {\nforward . " + to + "\nimport x/*.override\n}\nimport x/*.server", []Edit{{2, "/etc/resolv.conf", to}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, edits, err := r.Apply(tt.text)
			if err != nil || got != tt.want || !reflect.DeepEqual(edits, tt.edits) {
				t.Errorf("got  %q, %v, %v\nwant %q, %v", got, edits, err, tt.want, tt.edits)
			}
		})
	}
}

func TestApplySamples(t *testing.T) {
	for name, text := range samples(t) {
		want := strings.NewReplacer(
			". dns:///etc/resolv.conf", ". 10.0.0.2", ". /etc/resolv.conf", ". 10.0.0.2",
		).Replace(text)
		got, _, err := Rewrite{To: upstreams("10.0.0.2"), Self: true}.Apply(text)
		if err == nil && got != want || err != nil && want != text {
			t.Errorf("%s: got %q, %v\nwant %q", name, got, err, want)
		}
	}
}

func TestApplyFile(t *testing.T) {
	const text = ". {\nforward . /run/systemd/resolve/resolv.conf\n}\nb {\nforward . /etc/resolv.conf\n}"
	r := Rewrite{To: upstreams("::ffff:10.0.0.2"), File: "/run/systemd/resolve//resolv.conf"}
	got, _, err := r.Apply(text)
	if want := strings.Replace(text, "/run/systemd/resolve/resolv.conf", "10.0.0.2", 1); got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestApplyRefuses(t *testing.T) {
	const plain = ". {\nforward . /etc/resolv.conf\n}"
	one := upstreams("10.0.0.2")
	for _, tt := range []struct {
		name, text string
		to         []netip.AddrPort
		reason     Reason
		line       int
		message    string
	}{
		{"malformed", ". {\nerrors", one, ReasonMalformed, 2, "Corefile:2 - Syntax error: Unexpected token 'errors', expecting '}'"},
		{"none", plain, nil, ReasonUpstream, 0, "no upstream to forward to is given"},
		{"zero", plain, make([]netip.AddrPort, 1), ReasonUpstream, 0, "an upstream is no address"},
		{"loopback", plain, upstreams("8.8.8.8", "127.0.0.53"), ReasonUpstream, 0, "upstream 127.0.0.53 is the pod itself: CoreDNS would ask itself again"},
		{"mapped loopback", plain, upstreams("[::ffff:127.0.0.1]:5353"), ReasonUpstream, 0, "upstream 127.0.0.1 is the pod itself: CoreDNS would ask itself again"},
		{"unspecified", plain, upstreams("::"), ReasonUpstream, 0, "upstream :: is the pod itself: CoreDNS would ask itself again"},
		{"link-local", plain, upstreams("fe80::1%eth0 }"), ReasonUpstream, 0, `upstream "fe80::1%eth0 }" is only valid on a link of the node, not in a pod`},
		{"multicast", plain, upstreams("224.0.0.251"), ReasonUpstream, 0, "upstream 224.0.0.251 is a multicast address"},
		{"sixteen", plain, make([]netip.AddrPort, 16), ReasonTooMany, 0, "16 upstreams are more than the 15 that CoreDNS takes"},
		{"with the others sixteen", ". {\nforward . /etc/resolv.conf" + strings.Repeat(" 9.9.9.9", 15) + "\n}", one, ReasonTooMany, 2,
			"line 2: 16 upstreams are more than the 15 that CoreDNS takes"},
		{"empty", "", one, ReasonNothing, 0, "nothing forwards to /etc/resolv.conf"},
		{"other targets", ". {\nforward . 10.1.2.3 127.0.0.1:53 /etc/other.conf dns.example\n}", one, ReasonNothing, 0, "nothing forwards to /etc/resolv.conf"},
		{"no target", ". {\nforward /etc/resolv.conf\n}", one, ReasonNothing, 0, "nothing forwards to /etc/resolv.conf"},
		{"other plugin", ". {\nhosts . /etc/resolv.conf\n}", one, ReasonNothing, 0, "nothing forwards to /etc/resolv.conf"},
		{"imported", ". {\n\nimport custom/*.override\n}", one, ReasonImport, 3,
			"line 3: nothing here forwards to /etc/resolv.conf, but custom/*.override is imported and not part of this text"},
		{"snippet", "(up) {\nforward . /etc/resolv.conf\n}\n. {\nimport up\n}", one, ReasonSnippet, 2, "line 2: the forwarding stands in the snippet (up)"},
		{"environment", ". {\nforward . {$UP}\n}", one, ReasonPlaceholder, 2, "line 2: the target {$UP} is filled in elsewhere"},
		{"environment beside", ". {\nforward . /etc/resolv.conf {%UP%}\n}", one, ReasonPlaceholder, 2, "line 2: the target {%UP%} is filled in elsewhere"},
		{"quoted", ". {\nforward . \"/etc/resolv.conf\"\n}", one, ReasonQuoted, 2,
			"line 2: the target /etc/resolv.conf, or the word before it, is written with quotes"},
		{"behind a quote", ". {\nforward . \"10.0.0.2\"/etc/resolv.conf#c 8.8.8.8\n}", one, ReasonQuoted, 2,
			"line 2: the target /etc/resolv.conf, or the word before it, is written with quotes"},
		{"half a refusal", ". {\nforward . /etc/resolv.conf\n}\nb {\nforward . \"/etc/resolv.conf\"\n}", one, ReasonQuoted, 5,
			"line 5: the target /etc/resolv.conf, or the word before it, is written with quotes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, edits, err := Rewrite{To: tt.to}.Apply(tt.text)
			refusal, ok := errors.AsType[*Refusal](err)
			if got != "" || edits != nil || !ok {
				t.Fatalf("got %q, %v, %v; want a refusal", got, edits, err)
			}
			if refusal.Reason != tt.reason || refusal.Line != tt.line || refusal.Error() != tt.message {
				t.Errorf("got %q, line %d, %q\nwant %q, line %d, %q", refusal.Reason, refusal.Line, refusal, tt.reason, tt.line, tt.message)
			}
			if _, ok := errors.AsType[*SyntaxError](err); ok != (tt.reason == ReasonMalformed) {
				t.Errorf("wraps a syntax error: %t", ok)
			}
		})
	}
}

func TestRewriteOwn(t *testing.T) {
	own := []netip.Addr{netip.MustParseAddr("10.96.0.10"), netip.MustParseAddr("fd00::a")}
	const text = ". {\n  forward . 10.96.0.10 /etc/resolv.conf\n}\na.example {\n  forward . dns://[FD00:0::a]:53 10.96.0.10:9153 10.97.0.10\n}\n"
	for name, tt := range map[string]struct {
		rewrite Rewrite
		want    string
	}{
		"with the file": {Rewrite{To: upstreams("10.0.0.2"), Self: true, Own: own}, ". {\n  forward . NEW\n}\na.example {\n  forward . NEW 10.96.0.10:9153 10.97.0.10\n}\n"},
		"file kept":     {Rewrite{To: upstreams("10.0.0.2"), Self: true, Own: own, KeepFile: true}, ". {\n  forward . NEW /etc/resolv.conf\n}\na.example {\n  forward . NEW 10.96.0.10:9153 10.97.0.10\n}\n"},
		"not asked for": {Rewrite{To: upstreams("10.0.0.2"), Own: own}, ". {\n  forward . 10.96.0.10 NEW\n}\na.example {\n  forward . dns://[FD00:0::a]:53 10.96.0.10:9153 10.97.0.10\n}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := tt.rewrite.Apply(text)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.ReplaceAll(tt.want, "NEW", "10.0.0.2"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
