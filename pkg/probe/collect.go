package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent"
)

// mostLog bounds what is read of a pod's log, in bytes: a result is smaller.
const mostLog = 1 << 20

// results starts a job and returns what its pods printed, by node; why says of a node
// without a result what came in between.
func (r *run) results(ctx context.Context, home *home, job *batchv1.Job, nodes []*corev1.Node) (map[string]*agent.Result, func(node string) string) {
	var mu sync.Mutex
	out, failed := map[string]*agent.Result{}, map[string]string{}
	slots := make(chan struct{}, parallel)
	var reading sync.WaitGroup
	pods, err := r.follow(ctx, home, job, len(nodes), func(p *corev1.Pod) bool {
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			return false
		}
		reading.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			result, err := r.read(ctx, p, r.again)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				out[p.Spec.NodeName] = result
			} else {
				failed[p.Spec.NodeName] = reason(err)
			}
			r.progress("%d of %d nodes have answered", len(out)+len(failed), len(nodes))
		})
		return true
	})
	reading.Wait()
	return out, func(node string) string {
		if why := failed[node]; why != "" {
			return why
		}
		return pods.why(node, err)
	}
}

// read takes the result out of a pod's log, and asks again for some time.
func (r *run) read(ctx context.Context, p *corev1.Pod, again time.Duration) (*agent.Result, error) {
	result, err := r.readOnce(ctx, p)
	if again == 0 || err == nil {
		return result, err
	}
	_ = wait.PollUntilContextTimeout(ctx, time.Second, again, false, func(context.Context) (bool, error) {
		result, err = r.readOnce(ctx, p) // the last read, too, tells what is wrong
		return err == nil, nil
	})
	return result, err
}

func (r *run) readOnce(ctx context.Context, p *corev1.Pod) (*agent.Result, error) {
	log, err := r.client.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{LimitBytes: ptr.To[int64](mostLog)}).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the log of its pod: %w", err)
	}
	defer log.Close()
	result, err := agent.Read(log)
	if err != nil {
		if ended := ending(p); ended != "" {
			err = fmt.Errorf("%w (%s)", err, ended)
		}
		return nil, fmt.Errorf("its pod ran, but %w", err)
	}
	return result, nil
}

// ending says how a pod's container ended, where that was not well.
func ending(p *corev1.Pod) string {
	for _, c := range p.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
			return strings.TrimSpace(fmt.Sprintf("exit code %d, %s %s", t.ExitCode, t.Reason, t.Message))
		}
	}
	return strings.TrimSpace(p.Status.Reason + " " + p.Status.Message)
}

// seen are the pods of a job as they were last heard of, by name, and what the API server
// said to making them.
type seen struct {
	pods map[string]*corev1.Pod
	made string
}

// follow starts a job and watches its pods until settled says of each of them that it is,
// or it is certain that it will not be, or the time is over.
func (r *run) follow(ctx context.Context, home *home, job *batchv1.Job, want int, settled func(*corev1.Pod) bool) (*seen, error) {
	out := &seen{pods: map[string]*corev1.Pod{}}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.longest, lifetime(want)))
	defer cancel()
	made, err := home.start(ctx, job, out)
	if err != nil {
		return out, err
	}
	done := map[string]bool{}
	_, err = watchtools.UntilWithSync(ctx, r.podsOf(made), &corev1.Pod{}, nil, func(event watch.Event) (bool, error) {
		p, ok := event.Object.(*corev1.Pod)
		if !ok || event.Type == watch.Deleted {
			return false, nil
		}
		out.pods[p.Name] = p
		if !done[p.Name] {
			done[p.Name] = stuck(p) != "" || settled(p)
		}
		r.progress("%d of %d pods", len(done), want)
		return count(done) >= want, nil
	})
	if len(out.pods) < want && err != nil {
		out.made = r.refused(context.WithoutCancel(ctx), made)
	}
	return out, err
}

func count(done map[string]bool) int {
	n := 0
	for _, yes := range done {
		if yes {
			n++
		}
	}
	return n
}

func (r *run) podsOf(job *batchv1.Job) cache.ListerWatcher {
	pick := func(o *metav1.ListOptions) { o.LabelSelector = batchv1.JobNameLabel + "=" + job.Name }
	client := r.client.CoreV1().Pods(Namespace)
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			pick(&o)
			return client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			pick(&o)
			return client.Watch(ctx, o)
		},
	}
}

// refused returns what the newest event about a job complains of: a quota, Pod Security, a
// webhook.
func (r *run) refused(ctx context.Context, job *batchv1.Job) string {
	ctx, cancel := context.WithTimeout(ctx, goodbye/6)
	defer cancel()
	return r.warned(ctx, fields.Set{"involvedObject.name": job.Name})
}

// complaint returns what the newest event about any pod complains of: a directory that cannot
// be mounted.
func (r *run) complaint(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye/6)
	defer cancel()
	return r.warned(ctx, fields.Set{"involvedObject.kind": "Pod"})
}

func (r *run) warned(ctx context.Context, about fields.Set) string {
	about["type"] = corev1.EventTypeWarning
	list, err := r.client.CoreV1().Events(Namespace).List(ctx, metav1.ListOptions{FieldSelector: about.String()})
	if err != nil || len(list.Items) == 0 {
		return ""
	}
	return list.Items[len(list.Items)-1].Message
}

// stuck says why a pod will not start, or "" where it may yet.
func stuck(p *corev1.Pod) string {
	for _, c := range p.Status.ContainerStatuses {
		w := c.State.Waiting
		if w == nil {
			continue
		}
		never := []string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
		if slices.Contains(never, w.Reason) {
			return w.Reason + ": " + w.Message
		}
	}
	return ""
}

// why says what came in between on a node.
func (s *seen) why(node string, err error) string {
	unplaced := ""
	for _, p := range s.pods {
		if p.Spec.NodeName == node {
			return onNode(p)
		}
		for _, c := range p.Status.Conditions {
			if p.Spec.NodeName == "" && c.Type == corev1.PodScheduled && c.Message != "" {
				unplaced = c.Message
			}
		}
	}
	switch {
	case s.made != "":
		return "no pod was made for it: " + s.made
	case unplaced != "":
		return "no pod was placed there: " + unplaced
	case err != nil && !wait.Interrupted(err) && !errors.Is(err, watchtools.ErrWatchClosed):
		return reason(err)
	}
	return "no pod ran there in time"
}

// onNode says what a pod that is on a node waits for.
func onNode(p *corev1.Pod) string {
	if why := stuck(p); why != "" {
		return "its pod does not start: " + why
	}
	if p.Status.Phase == corev1.PodFailed {
		return strings.TrimSpace("its pod failed: " + ending(p))
	}
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Waiting != nil {
			return strings.TrimSpace("its pod did not start in time: " + c.State.Waiting.Reason + " " + c.State.Waiting.Message)
		}
	}
	return "its pod did not end in time"
}
