package cmd

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// TestReadme runs each command whose output the README shows: a block that begins with
// a line "$ kubectl netdoctor …".
func TestReadme(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("../..")
	ran := 0
	for i, block := range strings.Split(string(data), "```") {
		line, want, _ := strings.Cut(strings.TrimPrefix(block, "\n"), "\n")
		args, found := strings.CutPrefix(line, "$ kubectl netdoctor ")
		if i%2 == 0 || !found {
			continue
		}
		ran++
		var out, errOut bytes.Buffer
		Run(context.Background(), strings.Fields(args), Env{
			IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut},
			Now:       time.Now, Getenv: func(string) string { return "" }, Width: 80,
		})
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s (-README +got):\n%s\nstderr: %s", line, diff, errOut.String())
		}
	}
	if ran == 0 {
		t.Error("the README shows no output of a command")
	}
}
