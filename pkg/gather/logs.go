package gather

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

const (
	maxLogLines = 500       // of each container's log
	maxLogBytes = 256 << 10 // of the same, its end
)

// readLogs starts reading the current and previous logs of the stack's pods.
func (g *gatherer) readLogs(ctx context.Context, s *facts.Snapshot) {
	if !g.wanted(facts.PodLogs) {
		return
	}
	if why := s.Missing(facts.SystemPods); why != "" {
		g.gap(facts.PodLogs, "", "which pods there are is not known")
		return
	}
	pods := choose(g, plugins.Stack(s), sickLogPods, soundLogPods, notReady, podKind(s))
	for _, p := range pods.asked {
		g.start(func() { g.readPodLogs(ctx, p) })
	}
	for _, p := range pods.left {
		g.gap(facts.PodLogs, p.Namespace+"/"+p.Name, notAsked)
	}
	g.sampled(facts.PodLogs, len(pods.asked), pods.of)
}

func (g *gatherer) readPodLogs(ctx context.Context, p *facts.Pod) {
	g.progress("logs: %s/%s", p.Namespace, p.Name)
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.State.Phase == facts.Waiting && c.Last().Phase == 0 || c.State.Phase == 0 {
			continue // never started
		}
		begin := time.Now()
		text, known, err := g.bothLogs(ctx, p, c)
		if known {
			g.addLog(p, c.Name, text, begin)
		}
		if err != nil {
			g.failed(facts.PodLogs, begin, p.Namespace+"/"+p.Name, Reason(err))
			return
		}
	}
}

const (
	// replaced is how often a container is asked again, and replacing how long it has each time, whose
	// run before is gone and which may not have said everything yet.
	replaced  = 3
	replacing = time.Second
)

// bothLogs reads the log of a container and that of its run before; known tells whether the first
// was read. A kubelet keeps one ended run of a container: where the next one is about to begin, or
// to end, for a moment there is nothing of the one before and not all of this one.
func (g *gatherer) bothLogs(ctx context.Context, p *facts.Pod, c *facts.Container) (text facts.Log, known bool, err error) {
	said, begun := "", c.State.Phase == facts.Running && time.Since(c.State.Started.Time()) < time.Minute
	first := c.Restarts == 0 && c.Last().Phase == 0
	for try := 0; ; try++ {
		if text.Current, err = g.log(ctx, p, c.Name, false); err != nil {
			return facts.Log{}, false, err
		}
		absent := gone(text.Current)
		if absent {
			text.Current = ""
		}
		if first && !absent {
			return text, true, nil
		}
		if !first {
			if text.Previous, err = g.log(ctx, p, c.Name, true); err != nil || !gone(text.Previous) {
				return text, true, err
			}
			text.Previous = ""
		}
		if text.Current != "" && (try == replaced || !begun || text.Current == said) {
			return text, true, nil
		}
		if try == replaced {
			return facts.Log{}, false, errors.New("its last run is gone, and the next has said nothing yet: look again")
		}
		said = text.Current
		select {
		case <-ctx.Done():
			return facts.Log{}, false, ctx.Err()
		case <-time.After(replacing):
		}
	}
}

// gone tells whether a kubelet answered, with status 200, that there is no such run any more
// (kubelet kuberuntime_container.go, GetContainerLogs).
func gone(log string) bool {
	return strings.HasPrefix(log, "unable to retrieve container logs for ") && !strings.Contains(strings.TrimSuffix(log, "\n"), "\n")
}

func (g *gatherer) addLog(p *facts.Pod, container string, text facts.Log, begin time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.b.AddLog(p.Namespace, p.Name, container, text)
	g.answered(facts.PodLogs, begin, len(text.Current)+len(text.Previous))
}

// log reads the end of a container's log. That there is none (the kubelet answers Bad
// Request: not started yet, or no previous instance) is an empty log, not an error.
//
// The API's limitBytes would keep the beginning of the last lines, and lose what a
// container said last. What comes is bounded by the number of lines, which container
// runtimes split at 16 KiB, and by time.
func (g *gatherer) log(ctx context.Context, p *facts.Pod, container string, previous bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	lines := int64(maxLogLines)
	stream, err := g.client.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &lines,
	}).Stream(ctx)
	if apierrors.IsBadRequest(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer stream.Close()
	text, err := end(stream, maxLogBytes)
	return strings.ToValidUTF8(string(text), "�"), err
}

// end reads all and returns the last bytes of it, at most limit, from the start of a
// line on; where one line alone is longer, the end of that line.
func end(r io.Reader, limit int) ([]byte, error) {
	var kept []byte
	chunk := make([]byte, 32<<10)
	for {
		n, err := r.Read(chunk)
		kept = append(kept, chunk[:n]...)
		if more := len(kept) - limit - 1; more > 0 { // the byte before tells whether a line starts
			kept = append(kept[:0], kept[more:]...)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if len(kept) <= limit {
		return kept, nil
	}
	if i := bytes.IndexByte(kept, '\n'); i >= 0 && i < len(kept)-1 {
		return kept[i+1:], nil
	}
	return kept[1:], nil
}
