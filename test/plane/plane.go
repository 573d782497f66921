package plane

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Plane is a running control plane, and clients of it that are not slowed down.
type Plane struct {
	Kubeconfig string
	Config     *rest.Config
	Client     kubernetes.Interface
	Dynamic    dynamic.Interface
}

// Start starts a control plane that ends with the test; args are those of lab up.
func Start(t testing.TB, args ...string) *Plane {
	t.Helper()
	state := filepath.Join(t.TempDir(), "state")
	args = append([]string{"up", "--state", state,
		// Nodes here have no kubelet to lift the taint, and pods no token volumes.
		"--apiserver-arg=--disable-admission-plugins=TaintNodesByCondition,ServiceAccount"}, args...)
	lab := exec.Command(Program("lab"), args...)
	stdin, err := lab.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := lab.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	lab.Stderr = &stderr
	if err := lab.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := lab.Wait(); err != nil {
			t.Errorf("lab up: %v\n%s", err, &stderr)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	kubeconfig, ready := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ready {
		t.Fatalf("lab up did not become ready: %v\n%s", err, &stderr)
	}
	return Connect(t, kubeconfig)
}

// Connect returns a control plane that runs already.
func Connect(t testing.TB, kubeconfig string) *Plane {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	return &Plane{Kubeconfig: kubeconfig, Config: config, Client: kubernetes.NewForConfigOrDie(config), Dynamic: dynamic.NewForConfigOrDie(config)}
}

// ForbidServer forbids the API server itself to write what states consist of, and returns
// when that holds. It would make again what it misses of its own (the Service kubernetes
// with its EndpointSlice, system namespaces, the range of Services), report addresses that
// it did not give out, and judge APIServices: no state would stay what it is. Everybody
// else may write, and it may note the addresses that it gives out for them, and write what
// is spared.
func (p *Plane) ForbidServer(t testing.TB, spared ...*facts.Source) {
	t.Helper()
	const name = "states-stay-as-they-are"
	groups := []string{"events.k8s.io"}
	for src := range folders {
		if !slices.Contains(spared, src) {
			groups = append(groups, src.Group)
		}
	}
	slices.Sort(groups)
	policies := p.Client.AdmissionregistrationV1()
	_, err := policies.ValidatingAdmissionPolicies().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update, admissionv1.Delete},
				Rule:       admissionv1.Rule{APIGroups: slices.Compact(groups), APIVersions: []string{"*"}, Resources: []string{"*/*"}},
			}}}},
			Validations: []admissionv1.Validation{{Expression: "request.resource.resource == 'ipaddresses' || request.userInfo.username != 'system:apiserver' && request.userInfo.username != '" + probe + "'"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = policies.ValidatingAdmissionPolicyBindings().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.awaitPolicy(t, "", "namespaces", "default")
	if !slices.Contains(spared, facts.APIServices) {
		p.awaitPolicy(t, facts.APIServices.Group, facts.APIServices.Name, "v1.apps") // of a server behind the first, which hears of policies by itself
	}
}

// probe is a user by whom it is seen whether the policy holds.
const probe = "netdoctor-probe"

func (p *Plane) awaitPolicy(t testing.TB, group, resource, name string) {
	t.Helper()
	config := rest.CopyConfig(p.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: probe, Groups: []string{"system:masters"}}
	client := dynamic.NewForConfigOrDie(config).Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource})
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, err := client.Patch(t.Context(), name, "application/merge-patch+json", []byte(`{"metadata":{"labels":{"a":"b"}}}`),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("the policy does not hold for %s: %v", resource, err)
		}
	}
}
