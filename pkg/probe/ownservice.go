package probe

import (
	"context"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	// behind is the label of the pods that a Service of the doctor's leads to: its name.
	behind = "netdoctor/behind"
	// ownPatience is how long the log of a pod is asked for what it tried itself. It knows that
	// at the latest some attempts in vain after another pod of its node was led to it.
	ownPatience = 15 * time.Second
)

// ownService is a Service that leads each pod which answers others back to itself: its
// internalTrafficPolicy Local lets nothing leave a node, and there is one such pod on a node.
// Another pod of the node tries it, too, by which both know that its rules are written.
type ownService struct {
	run     *run
	name    string
	address string // host:port
	why     string // there is none
}

// ownService makes one. Who may not, or could not take it away, goes without.
func (h *home) ownService(ctx context.Context) *ownService {
	out := &ownService{run: h.run, name: "itself-" + rand.String(5)}
	for _, verb := range []string{"create", "delete"} {
		right := authorizationv1.ResourceAttributes{Namespace: Namespace, Verb: verb, Resource: "services"}
		switch may, err := h.run.may(ctx, right); {
		case err != nil:
			out.why = reason(err)
			return out
		case !may:
			out.why = "forbidden: you may not " + words(right)
			return out
		}
	}
	h.mu.Lock()
	h.services = append(h.services, out.name) // also where the answer to making it is lost
	h.mu.Unlock()
	made, err := h.run.client.CoreV1().Services(Namespace).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: out.name, Namespace: Namespace, Labels: map[string]string{managedBy: manager}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{behind: out.name}, InternalTrafficPolicy: ptr.To(corev1.ServiceInternalTrafficPolicyLocal),
			Ports: []corev1.ServicePort{{Port: facts.PeerPort, TargetPort: intstr.FromInt32(facts.BehindPort), Protocol: corev1.ProtocolTCP}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		out.why = "making a Service for it: " + reason(err)
		return out
	}
	switch policy := made.Spec.InternalTrafficPolicy; {
	case policy == nil || *policy != corev1.ServiceInternalTrafficPolicyLocal:
		out.why = "this API server knows no internalTrafficPolicy of Services (Kubernetes 1.22 does)"
	case net.ParseIP(made.Spec.ClusterIP) == nil:
		out.why = "the Service that was made for it got no ClusterIP"
	default:
		out.address = net.JoinHostPort(made.Spec.ClusterIP, strconv.Itoa(facts.PeerPort))
	}
	return out
}

// targets let a pod try it.
func (o *ownService) targets(as facts.TryTarget) []agent.Target {
	if o.address == "" {
		return nil
	}
	return []agent.Target{{Kind: facts.TryTCP, To: o.address, Target: as}}
}

// leadTo puts pods behind it, which try it as well.
func (o *ownService) leadTo(pods *corev1.PodTemplateSpec) {
	plan, err := planVariable(agent.Plan{Targets: o.targets(facts.TargetOwnService)})
	if o.address == "" || err != nil {
		return
	}
	labels := map[string]string{behind: o.name}
	for name, value := range pods.Labels { // those of its Job are the same map
		labels[name] = value
	}
	pods.Labels = labels
	pods.Spec.Containers[0].Env = append(pods.Spec.Containers[0].Env, plan)
}

// read takes what the pods behind it tried from their logs, but for nodes on which nobody was
// led to them: these do not know. Of a node without that, a try that was never made says why.
func (o *ownService) read(ctx context.Context, peers *peers, nodes []*corev1.Node, results map[string]*agent.Result) {
	var reading sync.WaitGroup
	for _, n := range nodes {
		reading.Go(func() {
			tried := facts.Try{Kind: facts.TryTCP, To: o.address, Target: facts.TargetOwnService, Err: o.why}
			switch {
			case o.address == "":
			case !ledThere(results[n.Name]):
				tried.Err = "another pod of the node did not reach it either"
			default:
				tried = o.tried(ctx, peers.pods[n.Name], tried)
			}
			o.run.addTries(n.Name, []facts.Try{tried})
		})
	}
	reading.Wait()
}

func (o *ownService) tried(ctx context.Context, p *corev1.Pod, none facts.Try) facts.Try {
	result, err := o.run.read(ctx, p, ownPatience)
	if err != nil {
		none.Err = reason(err)
		return none
	}
	for _, t := range result.Tries {
		if t.Target == facts.TargetOwnService {
			return t
		}
	}
	none.Err = "its pod did not try it"
	return none
}

// ledThere tells whether the pod that tries everything else reached the Service.
func ledThere(result *agent.Result) bool {
	return result != nil && slices.ContainsFunc(result.Tries, func(t facts.Try) bool { return t.Target == facts.TargetLocalService && t.Lost < t.Sent })
}
