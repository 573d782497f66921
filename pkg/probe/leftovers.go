package probe

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

// Leftover is what a run has left behind, or one that is under way has made.
type Leftover struct {
	Since    time.Time
	Kept     bool // the namespace was made by an administrator, and stays
	Pods     int  // that have not ended
	Jobs     []string
	Secrets  []string // copies of pull secrets
	Services []string

	made int // pods, of which those that have ended are removed as well
}

// Leftovers tells what is there of the doctor's own; nil where there is nothing.
func Leftovers(ctx context.Context, config *rest.Config) (*Leftover, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	ns, err := client.CoreV1().Namespaces().Get(ctx, Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && ns.Labels[managedBy] != manager {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for namespace %s: %w", Namespace, err)
	}
	out := &Leftover{Since: ns.CreationTimestamp.Time, Kept: ns.Annotations[Keep] == "true"}
	mine := metav1.ListOptions{LabelSelector: managedBy + "=" + manager}
	jobs, err := client.BatchV1().Jobs(Namespace).List(ctx, mine)
	if err != nil {
		return nil, fmt.Errorf("looking for what is left in namespace %s: %w", Namespace, err)
	}
	for _, job := range jobs.Items {
		out.Jobs = append(out.Jobs, job.Name)
		out.Pods += int(job.Status.Active)
		out.made += int(ptr.Deref(job.Spec.Parallelism, 1))
	}
	secrets, err := client.CoreV1().Secrets(Namespace).List(ctx, mine)
	if err != nil && !apierrors.IsForbidden(err) { // who may not see Secrets there could copy none
		return nil, fmt.Errorf("looking for copies of pull secrets in namespace %s: %w", Namespace, err)
	}
	if err == nil {
		for _, secret := range secrets.Items {
			out.Secrets = append(out.Secrets, secret.Name)
		}
	}
	services, err := client.CoreV1().Services(Namespace).List(ctx, mine)
	if err != nil && !apierrors.IsForbidden(err) { // likewise
		return nil, fmt.Errorf("looking for Services in namespace %s: %w", Namespace, err)
	}
	if err == nil {
		for i := range services.Items {
			out.Services = append(out.Services, services.Items[i].Name)
		}
	}
	if out.Kept && len(out.Jobs)+len(out.Secrets)+len(out.Services) == 0 {
		return nil, nil
	}
	return out, nil
}

// Cleanup removes what Leftovers tells of, and waits until it is gone, for at most half a
// minute and a second for every 20 pods.
func Cleanup(ctx context.Context, config *rest.Config, left *Leftover) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	patience := goodbye + paced(left.made)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if left.Kept {
		return empty(ctx, client, left)
	}
	return remove(ctx, client, patience)
}
