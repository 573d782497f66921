package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cmd"
)

// readme puts what a command prints now below it, in each block whose first line is
// "$ kubectl netdoctor …".
func readme(now string) string {
	const fence, prompt = "```", "\n$ kubectl netdoctor "
	parts := strings.Split(now, fence)
	for i := 1; i < len(parts); i += 2 {
		line, _, _ := strings.Cut(strings.TrimPrefix(parts[i], "\n"), "\n")
		if !strings.HasPrefix(parts[i], prompt) {
			continue
		}
		parts[i] = "\n" + line + "\n" + output(strings.Fields(strings.TrimPrefix("\n"+line, prompt)))
	}
	return strings.Join(parts, fence)
}

// output returns what the plugin prints for these arguments.
func output(args []string) string {
	var out bytes.Buffer
	cmd.Run(context.Background(), args, cmd.Env{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: os.Stderr},
		Now:       time.Now, Getenv: func(string) string { return "" }, Width: 80,
	})
	return out.String()
}
