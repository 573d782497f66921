package anonymize

import (
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

func seeded(t testing.TB, seed byte) *Anonymizer {
	t.Helper()
	a, err := New(rand.NewChaCha8([32]byte{seed}))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What a text becomes has the form of what it was: a # stands for any digit, x for any letter.
func TestText(t *testing.T) {
	for _, tc := range []struct{ name, text, form string }{
		{"well-known", "kube-system/coredns-5d78c9869d-2x4z6 on node-1", `^kube-system/coredns-5d78c9869d-2x4z6 on node-1$`},
		{"a pod", "acmeshop-frontal-7d9f8b6c5-x2x4z", `^[a-z]{8}-[a-z]{7}-7d9f8b6c5-x2x4z$`},
		{"a domain", "db.acmecorp.example.com.", `^db\.[a-z]{8}\.example\.com\.$`},
		{"CamelCase", "FailedCreatePodSandBox of AcmecorpPod", `^FailedCreatePodSandBox of [A-Z][a-z]{7}Pod$`},
		{"upper case", "ACMECORP_SERVICE_HOST=1", `^[A-Z]{8}_SERVICE_HOST=1$`},
		{"numbers", "0xdeadbeef 0000001f 100m 1.5e+09 12:34:56 v1.2.3.4 5.15.0-91 1.2.3.4.5", `^0xdeadbeef 0000001f 100m 1\.5e\+09 12:34:56 v1\.2\.3\.4 5\.15\.0-91 1\.2\.3\.4\.5$`},
		{"an address", "dial tcp 10.20.30.40:53: timeout", `^dial tcp 10\.\d+\.\d+\.\d+:53: timeout$`},
		{"IPv6", "[fd12:3456::7]:53", `^\[fd[0-9a-f:]+\]:53$`},
		{"what stays", "127.0.0.53 ::1 169.254.20.10 8.8.8.8 255.255.255.0", `^127\.0\.0\.53 ::1 169\.254\.20\.10 8\.8\.8\.8 255\.255\.255\.0$`},
		{"a name with an address", "ip-10-20-30-40.ec2.internal", `^ip-10-\d+-\d+-\d+\.ec2\.internal$`},
		{"a MAC address", "link/ether 0a:58:0a:f4:01:05 ff:ff:ff:ff:ff:ff", `^link/ether 0a(:[0-9a-f]{2}){5} ff:ff:ff:ff:ff:ff$`},
		{"a UUID", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`},
		{"after an escape", `a\nacmecorp\u003cacmecorp\t10.20.30.40`, `^a\\n[a-z]{8}\\u003c[a-z]{8}\\t10\.\d+\.\d+\.\d+$`},
		{"in JSON in JSON", `{\\"a\\":\\"\\nacmecorp\\"}`, `^\{\\\\"a\\\\":\\\\"\\\\n[a-z]{8}\\\\"\}$`},
		{"a reverse zone", "40.30.20.10.in-addr.arpa. and 20.10.in-addr.arpa", `^\d+\.\d+\.\d+\.10\.in-addr\.arpa\. and \d+\.10\.in-addr\.arpa$`},
		{"beyond ASCII", "acmecörp… “node” →", `^[a-z]{9}… “node” →$`},
	} {
		got := seeded(t, 3).String(tc.text)
		if !regexp.MustCompile(tc.form).MatchString(got) {
			t.Errorf("%s: %q became %q", tc.name, tc.text, got)
		}
		for _, gone := range []string{"acme", "frontal", "20.30", "20-30", "f4:01", "4f89"} {
			if strings.Contains(strings.ToLower(got), gone) {
				t.Errorf("%s: %q is left in %q", tc.name, gone, got)
			}
		}
	}
}

func TestReverseZones(t *testing.T) {
	a := seeded(t, 1)
	parts := strings.Split(a.String("10.20.30.40"), ".")
	if got, want := a.String("40.30.20.10.in-addr.arpa"), parts[3]+"."+parts[2]+"."+parts[1]+"."+parts[0]+".in-addr.arpa"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	six := a.String("7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.5.4.3.2.1.d.f.ip6.arpa")
	if !strings.HasSuffix(six, ".d.f.ip6.arpa") || strings.Contains(six, "6.5.4.3.2.1") || len(six) != 72 {
		t.Errorf("got %s", six)
	}
}

// The same name is the same everywhere, and two names never become one.
func TestOneToOne(t *testing.T) {
	a, seen := seeded(t, 5), map[string]string{}
	for i := range 26 * 26 * 26 {
		name := string([]byte{'a' + byte(i/676), 'a' + byte(i/26%26), 'a' + byte(i%26)})
		for _, name := range []string{name, "q" + name + "z"} {
			out := a.String(name)
			if other, found := seen[out]; found && other != name {
				t.Fatalf("%s and %s both became %s", other, name, out)
			}
			if seen[out] = name; a.String(name) != out || a.String("x/"+name+".y") != "x/"+out+".y" {
				t.Fatalf("%s is not always the same", name)
			}
			if wrong := validation.IsDNS1123Label(out); len(wrong) > 0 || len(out) != len(name) {
				t.Fatalf("%s became %s: %v", name, out, wrong)
			}
		}
	}
}

func TestWordsThatAreNames(t *testing.T) {
	a := seeded(t, 7)
	const text = "the database is across the street"
	if got := a.String(text); !strings.Contains(got, "the database is across the") {
		t.Errorf("plain English became %q", got)
	}
	a.learnNames([]byte(`{"metadata":{"name":"database-0","labels":{"a":"across"}}}`))
	if got := a.String(text); strings.Contains(got, "database") || strings.Contains(got, "across") {
		t.Errorf("what is a name stayed: %q", got)
	}
}

func TestKeysDiffer(t *testing.T) {
	if x, y := seeded(t, 1).String("acmecorp 10.20.30.40 aa:bb:cc:dd:ee:f1"), seeded(t, 2).String("acmecorp 10.20.30.40 aa:bb:cc:dd:ee:f1"); x == y {
		t.Errorf("two keys made %q of it", x)
	}
	if _, err := New(strings.NewReader("too few")); err == nil {
		t.Error("a handful of bytes is taken for a key")
	}
}

// A file that cannot be read or written is an error, and nothing hangs.
func TestBundleFails(t *testing.T) {
	broken := errors.New("broken")
	whole := facts.Entry{Name: "a.log", Open: func() (io.Reader, error) { return strings.NewReader(strings.Repeat("acmecorp\n", 100_000)), nil }}
	for name, tc := range map[string]struct {
		entry facts.Entry
		write func(string, int64, io.Reader) error
	}{
		"reading": {facts.Entry{Name: "a.log", Open: func() (io.Reader, error) { return nil, broken }}, func(string, int64, io.Reader) error { return nil }},
		"writing": {whole, func(_ string, _ int64, body io.Reader) error { _, _ = body.Read(make([]byte, 10)); return broken }},
	} {
		if err := seeded(t, 1).Bundle([]facts.Entry{tc.entry}, tc.write); !errors.Is(err, broken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// An id of sixteen digits of which one is an e may stand in JSON as a number: it becomes another.
func TestIDsThatAreNumbers(t *testing.T) {
	for _, id := range []string{"2222E22222222222", "100000000000000e1"} {
		a := seeded(t, 1)
		out := a.String(id)
		if !json.Valid([]byte(out)) || out == id || len(out) != len(id) || a.String(id) != out {
			t.Errorf("%s became %s, and then %s", id, out, a.String(id))
		}
	}
}

// Whatever a text holds, it stays as JSON what it was, and is cut where it was.
func FuzzText(f *testing.F) {
	for _, seed := range []string{`{"a":"b\nc\\nd","é":[1.5e3,"10.0.0.1/8","::1","aa:bb:cc:dd:ee:ff"]}`, "::ffff:1.2.3.4%eth0", "1.2.3.4.in-addr.arpa", "a.b.ip6.arpa", `\u00`, "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "\xff\xfe", "2222E22222222222", `"labels":{"a`, `"hosts":["a`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a := seeded(t, 1)
		a.learnRanges([]byte(text))
		a.learnNames([]byte(text))
		out := a.String(text)
		if json.Valid([]byte(text)) && !json.Valid([]byte(out)) {
			t.Errorf("%q became %q", text, out)
		}
		if strings.Count(text, "\n") != strings.Count(out, "\n") {
			t.Errorf("%q became %q", text, out)
		}
	})
}

// A range that a bundle holds begins where a range may begin, wherever it is written.
func TestRanges(t *testing.T) {
	for seed := range byte(10) {
		a := seeded(t, seed)
		a.learnRanges([]byte(`{"args":["--service-cluster-ip-range=10.96.0.0/12,fd12:3456:7800::/56"],"x":"a/b"} 172.18.37.9/20`))
		for _, text := range []string{"10.96.0.0/12", "fd12:3456:7800::/56", "172.18.32.0/20"} {
			p := netip.MustParsePrefix(a.String(text))
			if p != p.Masked() {
				t.Errorf("%s became %s", text, p)
			}
			if first := netip.MustParsePrefix(text).Addr().Next(); a.String(first.String()) != p.Addr().Next().String() {
				t.Errorf("the first address of %s became %s, that of %s is %s", text, a.String(first.String()), p, p.Addr().Next())
			}
		}
	}
}
