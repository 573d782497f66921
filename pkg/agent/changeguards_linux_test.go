package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// TestSysctlFile makes a file for the next start and removes it.
func TestSysctlFile(t *testing.T) {
	root := aNode(t, nil)
	was := everything(t, root)
	line := word("net.ipv4.ip_forward = 1\n")
	done(t, write(t, root, lasting, nil, line), line)
	if got := everything(t, root); len(got) != 1 || got[forwardFile] != fmt.Sprintf("100644 %d:%d %s", os.Geteuid(), os.Getegid(), *line) {
		t.Errorf("got %v", got)
	}
	other := word("net.ipv4.ip_forward = 0\n")
	done(t, write(t, root, lasting, line, other), other)
	done(t, write(t, root, lasting, other, nil), nil)
	unchanged(t, root, was)
	if err := os.Remove(root + filepath.Dir(forwardFile)); err != nil {
		t.Fatal(err)
	}
	if got := write(t, root, lasting, nil, line); got.Refused == "" {
		t.Errorf("no directory: got %+v", got)
	}
	unchanged(t, root, was)
}

// TestMoves takes a file out of use and puts it back.
func TestMoves(t *testing.T) {
	aside := moved.Aside()
	for name, tt := range map[string]struct {
		files    map[string]string
		from, to *string
		refused  string
	}{
		"aside":         {map[string]string{oldNetwork: "{}"}, word(oldNetwork), &aside, ""},
		"back":          {map[string]string{aside: "{}"}, &aside, word(oldNetwork), ""},
		"both there":    {map[string]string{oldNetwork: "{}", aside: "[]"}, word(oldNetwork), &aside, "both "},
		"neither there": {nil, nil, &aside, "is not there"},
		"to nowhere":    {map[string]string{oldNetwork: "{}"}, word(oldNetwork), nil, "is not there"},
		// What a link leads to is not looked at; its name is taken all the same.
		"target is a link": {map[string]string{oldNetwork: "{}", aside: "-> nowhere"}, word(oldNetwork), &aside, "exists"},
		"link out of it":   {map[string]string{oldNetwork: "-> /usr/x.conf"}, word(oldNetwork), &aside, "not looked at"},
	} {
		t.Run(name, func(t *testing.T) {
			root := aNode(t, tt.files)
			was := everything(t, root)
			got := write(t, root, moved, tt.from, tt.to)
			if tt.refused != "" {
				if !strings.Contains(got.Refused, tt.refused) {
					t.Errorf("got %+v, want it refused: %s", got, tt.refused)
				}
				unchanged(t, root, was)
				return
			}
			done(t, got, tt.to)
			if now := everything(t, root); len(now) != 1 || now[*tt.to] != was[*tt.from] {
				t.Errorf("got %v, was %v", now, was)
			}
		})
	}
}

// TestNothingWritten: not over another value, not when only looking, not after an interrupt.
func TestNothingWritten(t *testing.T) {
	over, end := context.WithCancel(t.Context())
	end()
	for name, tt := range map[string]struct {
		ctx     context.Context
		c       Change
		differs bool
		refused bool
		now     *string
	}{
		"look":              {t.Context(), Change{Setting: resolvConf, To: word(servers)}, false, false, word(stub)},
		"look at a place":   {t.Context(), Change{Setting: moved, To: word(moved.Aside())}, false, false, word(oldNetwork)},
		"look at a file":    {t.Context(), Change{Setting: lasting}, false, false, nil},
		"another field":     {t.Context(), Change{Setting: resolvConf.With(word("/etc/resolv.conf")), To: word(servers), Write: true}, true, false, word(stub)},
		"no field":          {t.Context(), Change{Setting: resolvConf, To: word(servers), Write: true}, true, false, word(stub)},
		"file is gone":      {t.Context(), Change{Setting: lasting.With(word("x")), To: nil, Write: true}, true, false, nil},
		"moved already":     {t.Context(), Change{Setting: moved.With(word(moved.Aside())), To: word(oldNetwork), Write: true}, true, false, word(oldNetwork)},
		"after the end":     {over, Change{Setting: resolvConf.With(word(stub)), To: word(servers), Write: true}, false, true, word(stub)},
		"sysctl not there":  {t.Context(), Change{Setting: facts.Setting{Path: "/proc/sys/net/bridge/bridge-nf-call-iptables"}, To: word("1"), Write: true}, false, true, nil},
		"a file that is no": {t.Context(), Change{Setting: facts.Setting{Path: "/etc/sysctl.d"}, Write: true}, false, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			root := aNode(t, map[string]string{kubeletYAML: aConfig, oldNetwork: "{}"})
			was := everything(t, root)
			got := ChangeNode(tt.ctx, root, tt.c)
			if got.Differs != tt.differs || (got.Refused != "") != tt.refused || got.Broken != "" || !facts.Same(got.Now, tt.now) {
				t.Errorf("got %+v with %s", got, said(got.Now))
			}
			unchanged(t, root, was)
		})
	}
}

// TestChangedWhileWriting: the edit starts from the text whose value is compared.
func TestChangedWhileWriting(t *testing.T) {
	root := aNode(t, map[string]string{kubeletYAML: strings.Replace(aConfig, stub, "/etc/mine", 1)})
	was := everything(t, root)
	if _, err := (node{root: root}).set(resolvConf, word(stub), word(servers)); !errors.Is(err, errDiffers) {
		t.Errorf("got error %v", err)
	}
	unchanged(t, root, was)
}

// TestPutBack restores each byte, and only the field where others have written meanwhile.
func TestPutBack(t *testing.T) {
	quoted := strings.Replace(aConfig, stub, `"`+stub+`"`, 1)
	root := aNode(t, map[string]string{kubeletYAML: quoted})
	was := everything(t, root)
	back, err := (node{root: root}).set(resolvConf, word(stub), word(servers))
	if err != nil {
		t.Fatal(err)
	}
	if err := back(); err != nil {
		t.Error(err)
	}
	unchanged(t, root, was)

	if back, err = (node{root: root}).set(resolvConf, word(stub), word(servers)); err != nil {
		t.Fatal(err)
	}
	theirs := strings.Replace(aConfig, "10.96.0.10", "10.96.0.53", 1)
	if err := os.WriteFile(root+kubeletYAML, []byte(strings.Replace(theirs, stub, servers, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := back(); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(root + kubeletYAML); string(got) != theirs {
		t.Errorf("got\n%s\nwant\n%s", got, theirs)
	}
}

// TestLinksLeadNowhere: directories of a node that lead out of it are not followed.
func TestLinksLeadNowhere(t *testing.T) {
	outside := aNode(t, map[string]string{kubeletYAML: aConfig, oldNetwork: "{}"})
	was := everything(t, outside)
	for _, target := range []string{outside, strings.Repeat("../", 20) + outside[1:]} {
		root := t.TempDir()
		if err := errors.Join(os.Symlink(target+"/var", root+"/var"), os.Symlink(target+"/etc", root+"/etc")); err != nil {
			t.Fatal(err)
		}
		for _, got := range []*Changed{
			write(t, root, resolvConf, word(stub), word(servers)),
			write(t, root, lasting, nil, word("net.ipv4.ip_forward = 1\n")),
			write(t, root, moved, word(oldNetwork), word(moved.Aside())),
		} {
			if got.Refused == "" && !got.Differs {
				t.Errorf("got %+v through a link to %s", got, target)
			}
		}
	}
	unchanged(t, outside, was)
}

// TestWholeFileAtAnyTime reads in a loop while a file is replaced.
func TestWholeFileAtAnyTime(t *testing.T) {
	long := aConfig + strings.Repeat("# a comment that takes some room, so that a write takes some time\n", 2000)
	root := aNode(t, map[string]string{kubeletYAML: long})
	want := map[string]bool{long: true, strings.Replace(long, stub, servers, 1): true}
	stop, seen := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				seen <- nil
				return
			default:
			}
			text, err := os.ReadFile(root + kubeletYAML)
			if err != nil || !want[string(text)] {
				seen <- fmt.Errorf("%d bytes, %w", len(text), errors.Join(err, errors.New("half a file")))
				return
			}
		}
	}()
	from, to := word(stub), word(servers)
	for range 40 {
		done(t, write(t, root, resolvConf, from, to), to)
		from, to = to, from
	}
	close(stop)
	if err := <-seen; err != nil {
		t.Error(err)
	}
}

// TestSysctl writes settings of a network namespace of the test's own.
func TestSysctl(t *testing.T) {
	inNamespace(t)
	for _, name := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
		was, err := os.ReadFile(name)
		if err != nil {
			lacks(t, "%v", err)
		}
		if string(bytes.TrimSpace(was)) != "0" {
			if err := os.WriteFile(name, []byte("0\n"), 0o644); err != nil {
				lacks(t, "sysctls to write: %v", err)
			}
		}
		s := facts.Setting{Node: "quince-7", Path: name}
		for _, step := range [][2]string{{"0", "1"}, {"1", "0"}} {
			done(t, write(t, "/", s, &step[0], &step[1]), &step[1])
			if now, err := os.ReadFile(name); err != nil || string(now) != step[1]+"\n" {
				t.Errorf("%s: %v: %q", name, err, now)
			}
		}
		if got := write(t, "/", s, word("1"), word("0")); !got.Differs {
			t.Errorf("%s: got %+v", name, got)
		}
		if got := write(t, "/", s, word("0"), nil); got.Refused == "" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// TestParseChange refuses on the node what no repair asks for.
func TestParseChange(t *testing.T) {
	for text, fits := range map[string]bool{
		`{"setting":{"node":"a","path":"/proc/sys/net/ipv4/ip_forward","value":"0"},"to":"1","write":true}`: true,
		`{"setting":{"node":"a","path":"/proc/sys/net/ipv4/ip_forward","value":"0"},"to":"2","write":true}`: false,
		`{"setting":{"node":"a","path":"/proc/sys/kernel/core_pattern"},"to":"1","write":true}`:             false,
		`{"setting":{"node":"a","path":"/etc/sysctl.d/netdoctor.conf"},"to":"kernel.sysrq = 1\n"}`:          false,
		`{`: false, `{}`: false, ``: false, `null`: false,
	} {
		if _, err := ParseChange(text); (err == nil) != fits {
			t.Errorf("%s: %v", text, err)
		}
	}
}
