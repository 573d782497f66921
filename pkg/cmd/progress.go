package cmd

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// redrawEvery bounds how often the line is written.
const redrawEvery = 80 * time.Millisecond

// progress shows one line on stderr that is overwritten by the next and gone at the
// end. Without a person at stderr it shows nothing.
type progress struct {
	env   Env
	mu    sync.Mutex
	last  time.Time
	drawn bool
}

func newProgress(env Env) *progress { return &progress{env: env} }

func (p *progress) show(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.env.ShowErr && now.Sub(p.last) >= redrawEvery {
		p.last, p.drawn = now, true
		line := []rune(report.Clean(text))
		fmt.Fprintf(p.env.ErrOut, "\r%-*s\r%s", p.env.Width-1, "", string(line[:min(len(line), max(p.env.Width-1, 1))]))
	}
}

func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.env.ErrOut, "\r"+strings.Repeat(" ", max(p.env.Width-1, 1))+"\r")
		p.drawn = false
	}
}
