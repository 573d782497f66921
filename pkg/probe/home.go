package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	// Namespace is where everything is made. One name for all runs lets a role name it.
	Namespace = facts.ProbeNamespace
	// Keep is the annotation by which an administrator makes the namespace beforehand: it is
	// used then and not deleted, and nobody needs the right to make namespaces.
	Keep = "netdoctor/keep"

	managedBy = "app.kubernetes.io/managed-by"
	manager   = "kubectl-netdoctor"
	account   = "netdoctor"
	pullName  = "netdoctor-pull"

	// enforceLabel is that of Pod Security Admission.
	enforceLabel = "pod-security.kubernetes.io/enforce"
)

// home is the namespace of a run.
type home struct {
	run    *run
	kept   bool   // it was there before, and stays
	secret string // the copy of the user's pull secret, or ""

	mu       sync.Mutex
	pods     int          // that its jobs were told to make
	services []string     // that this run has made
	jobs     []string     // that this run has made
	newest   *batchv1.Job // of them
	failed   error        // of making the newest
	found    *seen        // the pods of the newest
}

// last returns the newest job, nil where it was not made, with the pods that were seen of it
// or why it was not made.
func (h *home) last() (*batchv1.Job, *seen, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.newest, h.found, h.failed
}

// HomeFor returns the namespace that the pods of a depth need, as an administrator makes it
// beforehand: it stays then.
func HomeFor(depth facts.Depth) *corev1.Namespace {
	level := "restricted"
	if depth >= facts.Host {
		level = "privileged"
	}
	return &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{
			Name: Namespace, Labels: map[string]string{managedBy: manager, enforceLabel: level}, Annotations: map[string]string{Keep: "true"},
		},
	}
}

// HomeAccount returns the ServiceAccount of the pods. It may do nothing, and no pod gets its
// token.
func HomeAccount() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   metav1.ObjectMeta{Name: account, Namespace: Namespace, Labels: map[string]string{managedBy: manager}},
		AutomountServiceAccountToken: ptr.To(false),
	}
}

// start makes a job, which is this run's to remove; pods will be what is seen of it.
func (h *home) start(ctx context.Context, job *batchv1.Job, pods *seen) (*batchv1.Job, error) {
	made, err := h.run.client.BatchV1().Jobs(Namespace).Create(ctx, job, metav1.CreateOptions{})
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.newest, h.failed, h.found = made, err, pods; err != nil {
		h.newest = nil
		return nil, fmt.Errorf("starting its pod: %w", err)
	}
	h.jobs = append(h.jobs, made.Name)
	h.pods += int(ptr.Deref(job.Spec.Parallelism, 1))
	return made, nil
}

// open makes the namespace and what pods need in it.
func (r *run) open(ctx context.Context) (*home, error) {
	h := &home{run: r}
	ns := HomeFor(r.opts.Depth)
	ns.Annotations = nil
	_, err := r.client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) || apierrors.IsForbidden(err) {
		if h.kept, err = r.keptHome(ctx, err); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, fmt.Errorf("making namespace %s: %w", Namespace, err)
	}
	if err := h.furnish(ctx); err != nil {
		h.close(ctx)
		return nil, err
	}
	return h, nil
}

// keptHome tells whether the namespace is there to be used.
func (r *run) keptHome(ctx context.Context, failed error) (bool, error) {
	ns, err := r.client.CoreV1().Namespaces().Get(ctx, Namespace, metav1.GetOptions{})
	switch {
	case err != nil:
		return false, fmt.Errorf("making namespace %s: %w", Namespace, failed)
	case ns.Labels[managedBy] == manager && ns.Annotations[Keep] == "true" && ns.DeletionTimestamp == nil:
		return true, nil
	case ns.Labels[managedBy] != manager:
		return false, fmt.Errorf("namespace %s is there, and it is not the doctor's", Namespace)
	case ns.DeletionTimestamp != nil:
		return false, fmt.Errorf("namespace %s of an earlier run is still being deleted: try again in a moment", Namespace)
	}
	return false, fmt.Errorf("namespace %s has been there since %s: another run is under way, or its end was not clean: wait for it, or see kubectl netdoctor cleanup",
		Namespace, ns.CreationTimestamp.UTC().Format(time.RFC3339))
}

// furnish makes the ServiceAccount, unless it was made with the namespace, and the copy of
// the pull secret.
func (h *home) furnish(ctx context.Context) error {
	core := h.run.client.CoreV1()
	if !h.kept {
		if _, err := core.ServiceAccounts(Namespace).Create(ctx, HomeAccount(), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("making ServiceAccount %s/%s: %w", Namespace, account, err)
		}
	}
	if h.run.opts.PullSecret == "" {
		return nil
	}
	namespace, name, _ := strings.Cut(h.run.opts.PullSecret, "/")
	from, err := core.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading --image-pull-secret %s: %w", h.run.opts.PullSecret, err)
	}
	if from.Type != corev1.SecretTypeDockerConfigJson && from.Type != corev1.SecretTypeDockercfg {
		return fmt.Errorf("--image-pull-secret %s: it is of type %s, not of %s", h.run.opts.PullSecret, from.Type, corev1.SecretTypeDockerConfigJson)
	}
	meta := metav1.ObjectMeta{GenerateName: pullName + "-", Namespace: Namespace, Labels: map[string]string{managedBy: manager}}
	made, err := core.Secrets(Namespace).Create(ctx, &corev1.Secret{ObjectMeta: meta, Type: from.Type, Data: from.Data}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("copying --image-pull-secret %s: %w", h.run.opts.PullSecret, err)
	}
	h.secret = made.Name
	return nil
}

// close removes everything, also after an interrupt, and says what stays.
func (h *home) close(ctx context.Context) {
	patience := goodbye + paced(h.pods)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	h.run.progress("removing what was made")
	var err error
	if h.kept {
		err = empty(ctx, h.run.client, &Leftover{Jobs: h.jobs, Secrets: h.secrets(), Services: h.services})
	} else {
		err = remove(ctx, h.run.client, patience)
	}
	if err != nil && h.run.opts.Warn != nil {
		h.run.opts.Warn(fmt.Sprintf("namespace %s is not clean: %s; kubectl netdoctor cleanup removes what is left, and its pods end by themselves", Namespace, reason(err)))
	}
}

// remove deletes the namespace and waits until it is gone, or the time of the context, which
// it is told, is over.
func remove(ctx context.Context, client kubernetes.Interface, patience time.Duration) error {
	err := client.CoreV1().Namespaces().Delete(ctx, Namespace, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	err = wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Namespaces().Get(ctx, Namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, ignoreBusy(err)
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("it is being deleted, and was not gone after %s", patience)
	}
	return err
}

// secrets are the copies that this run has made.
func (h *home) secrets() []string {
	if h.secret == "" {
		return nil
	}
	return []string{h.secret}
}

// empty deletes what was made in a namespace that stays, and waits for the jobs' pods to go.
// What others run there is left alone.
func empty(ctx context.Context, client kubernetes.Interface, made *Leftover) error {
	var errs []error
	behind := metav1.DeletePropagationBackground
	for _, job := range made.Jobs {
		errs = append(errs, client.BatchV1().Jobs(Namespace).Delete(ctx, job, metav1.DeleteOptions{PropagationPolicy: &behind}))
	}
	for _, secret := range made.Secrets {
		errs = append(errs, client.CoreV1().Secrets(Namespace).Delete(ctx, secret, metav1.DeleteOptions{}))
	}
	for _, service := range made.Services {
		errs = append(errs, client.CoreV1().Services(Namespace).Delete(ctx, service, metav1.DeleteOptions{}))
	}
	if len(made.Jobs) > 0 {
		theirs := metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + " in (" + strings.Join(made.Jobs, ",") + ")"}
		errs = append(errs, wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			list, err := client.CoreV1().Pods(Namespace).List(ctx, theirs)
			return err == nil && len(list.Items) == 0, ignoreBusy(err)
		}))
	}
	for i, err := range errs {
		if apierrors.IsNotFound(err) {
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

// ignoreBusy lets a poll go on over errors that pass.
func ignoreBusy(err error) error {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return err
	}
	return nil
}
