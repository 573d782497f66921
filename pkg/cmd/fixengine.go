package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
)

// eachWrite bounds a single request of a repair; --request-timeout sets another bound.
const eachWrite = 30 * time.Second

// engine is what repairs a cluster.
type engine struct {
	*apply.Applier
	config *rest.Config
	client kubernetes.Interface
}

// engine returns what repairs this cluster.
func (c *cluster) engine() (*engine, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	config.WarningHandler = rest.NoWarnings{}
	if config.Timeout == 0 {
		config.Timeout = eachWrite
	}
	config.Wrap(apply.Once)
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	mapper, err := c.flags.ToRESTMapper()
	if err != nil {
		return nil, c.unreachable(config, err)
	}
	dir, err := c.env.stateDir()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(config.Host))
	e := &engine{config: config, client: client}
	e.Applier = &apply.Applier{
		Client: objects, Mapper: mapper, Server: config.Host, Context: c.contextName(), Version: versionText(), Now: c.env.Now, Who: e.who,
		Journal: &apply.Journal{ConfigMaps: client.CoreV1(), Dir: filepath.Join(dir, hex.EncodeToString(sum[:6]))},
	}
	return e, nil
}

// who returns the user that the API server takes the caller for, or "" where it does not
// tell (before Kubernetes 1.28, or where that is forbidden).
func (e *engine) who(ctx context.Context) string {
	review, err := e.client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return ""
	}
	return review.Status.UserInfo.Username
}

// allowed asks the API server whether the caller may do something.
func (e *engine) allowed(ctx context.Context, what authorizationv1.ResourceAttributes) (bool, error) {
	review, err := e.client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx,
		&authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &what}}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}
