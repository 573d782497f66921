package integration

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
	"github.com/kubectl-netdoctor/netdoctor/pkg/probe"
)

// fleet is a stand-in for the scheduler and for the kubelets of many nodes: it places the
// doctor's pods where their affinity lets them, one on a node, and lets them print what a
// node's pod would. Everything else is real: the API server with its Pod Security, the
// controllers of Jobs and namespaces.
type fleet struct {
	p      api
	nodes  []string
	prints func(component, node string) string
	refuse map[string]string // by node: why the image does not start there
	hang   map[string]bool   // nodes whose pods never end
	idle   map[string]bool   // nodes whose pods never start
	stays  *atomic.Bool      // whether these do not go, either; nil: they do
}

// newFleet makes the nodes, all of which have one address: that of the stand-in.
func newFleet(t testing.TB, p api, count int) *fleet {
	t.Helper()
	f := &fleet{p: p, refuse: map[string]string{}, hang: map[string]bool{}, idle: map[string]bool{}, prints: func(_, node string) string { return result(node) }}
	for i := range count {
		name := fmt.Sprintf("berth-%03d", i)
		f.nodes = append(f.nodes, name)
		n, err := p.Client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelTopologyZone: fmt.Sprintf("quay-%d", i%3)},
		}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		n.Status = corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}, NodeInfo: corev1.NodeSystemInfo{OperatingSystem: "linux"},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 10250}},
		}
		if _, err := p.Client.CoreV1().Nodes().UpdateStatus(t.Context(), n, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	kubelet{
		logs: func(namespace, pod, container string, _ bool) (string, bool) {
			o, err := p.Client.CoreV1().Pods(namespace).Get(context.Background(), pod, metav1.GetOptions{})
			if err != nil {
				return "", false
			}
			return f.prints(container, o.Spec.NodeName), true
		},
		configz: func(string) (string, bool) { return "", false },
	}.serve(t)
	f.run(t)
	return f
}

// result is what a pod prints of a healthy node.
func result(node string) string {
	var out bytes.Buffer
	r := agent.Result{
		Version: agent.ResultVersion, Node: node, Files: map[string]string{"/proc/sys/net/ipv4/ip_forward": "1\n", "/etc/resolv.conf": "nameserver 192.0.2.53\n"},
		Tries: []facts.Try{{Node: "another", Kind: facts.TryTCP, To: "192.0.2.1:443", Target: facts.TargetAPIService, Sent: 3}},
	}
	if err := r.Write(&out); err != nil {
		panic(err)
	}
	return out.String()
}

func (f *fleet) run(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			f.step(ctx)
			return false, nil
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// step does one round; what fails now is done in the next.
func (f *fleet) step(ctx context.Context) {
	pods, err := f.p.Client.CoreV1().Pods(probe.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	taken := map[string]bool{}
	for i := range pods.Items {
		p := &pods.Items[i]
		taken[component(p)+p.Spec.NodeName] = true
	}
	for i := range pods.Items {
		f.report(ctx, &pods.Items[i], taken)
	}
}

func component(p *corev1.Pod) string { return p.Labels["app.kubernetes.io/component"] }

func (f *fleet) report(ctx context.Context, p *corev1.Pod, taken map[string]bool) {
	client := f.p.Client.CoreV1().Pods(p.Namespace)
	switch {
	case p.DeletionTimestamp != nil && f.hang[p.Spec.NodeName] && f.stays != nil && f.stays.Load():
	case p.DeletionTimestamp != nil:
		now := int64(0)
		_ = client.Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	case p.Spec.NodeName == "":
		term := p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0]
		for _, node := range append(term.MatchExpressions, term.MatchFields...)[0].Values {
			if taken[component(p)+node] {
				continue
			}
			taken[component(p)+node] = true
			_ = client.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: p.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}, metav1.CreateOptions{})
			return
		}
	case p.Status.Phase == corev1.PodPending && !f.idle[p.Spec.NodeName]:
		f.start(ctx, p)
	}
}

// start lets a pod come to what it comes to.
func (f *fleet) start(ctx context.Context, p *corev1.Pod) {
	c := corev1.ContainerStatus{Name: p.Spec.Containers[0].Name, Image: p.Spec.Containers[0].Image}
	switch why := f.refuse[p.Spec.NodeName]; {
	case why != "":
		reason, message, _ := strings.Cut(why, ": ")
		c.State.Waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: message}
	case component(p) == "serve" || f.hang[p.Spec.NodeName]:
		p.Status.Phase, p.Status.PodIP = corev1.PodRunning, "192.0.2.77"
		p.Status.PodIPs = []corev1.PodIP{{IP: p.Status.PodIP}}
		c.State.Running = &corev1.ContainerStateRunning{}
	default:
		p.Status.Phase = corev1.PodSucceeded
		c.State.Terminated = &corev1.ContainerStateTerminated{}
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{c}
	_, _ = f.p.Client.CoreV1().Pods(p.Namespace).UpdateStatus(ctx, p, metav1.UpdateOptions{})
}

// snapshot is what is known before pods look.
func (f *fleet) snapshot(t testing.TB, depth facts.Depth) *facts.Snapshot {
	t.Helper()
	list, err := f.p.Client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b := facts.NewBuilder(time.Now(), "v1.37.2", depth)
	for i := range list.Items {
		if err := b.Add(&list.Items[i]); err != nil {
			t.Fatal(err)
		}
	}
	endpoints, err := f.p.Client.DiscoveryV1().EndpointSlices("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range endpoints.Items {
		if err := b.Add(&endpoints.Items[i]); err != nil {
			t.Fatal(err)
		}
	}
	return b.Build()
}

func (f *fleet) look(t testing.TB, ctx context.Context, config *rest.Config, depth facts.Depth) (*facts.Snapshot, []string) {
	t.Helper()
	var warned []string
	s, err := probe.Run(ctx, config, f.snapshot(t, depth), probe.Options{
		Depth: depth, Image: "example.test/doctor:1", Warn: func(what string) { warned = append(warned, what) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, warned
}

// clean fails where anything is left.
func (f *fleet) clean(t testing.TB) {
	t.Helper()
	if _, err := f.p.Client.CoreV1().Namespaces().Get(context.Background(), probe.Namespace, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("namespace %s is left behind: %v", probe.Namespace, err)
	}
}

func startFleet(t testing.TB, count int) *fleet {
	return newFleet(t, start(t, "--controllers=job-controller,namespace-controller,garbage-collector-controller,serviceaccount-controller"), count)
}

// TestManyNodes looks at 200 nodes, some of which fail in every way: each gives its files
// or a reason, and nothing is left behind.
func TestManyNodes(t *testing.T) {
	f := startFleet(t, 200)
	f.refuse["berth-007"] = `ErrImagePull: failed to resolve reference "example.test/doctor:1"`
	f.slice(t, "still", "192.0.2.31")
	f.slice(t, "moving", "192.0.2.32")
	f.prints = func(_, node string) string {
		switch node {
		case "berth-009":
			f.slice(t, "moving", "192.0.2.33")
		case "berth-011":
			return "exec /kubectl-netdoctor: exec format error\n"
		case "berth-013":
			return result(node)[:120]
		}
		return result("a name of its own") // what a pod says of its node does not count
	}
	begin := time.Now()
	s, warned := f.look(t, t.Context(), f.p.Config, facts.Host)
	took := time.Since(begin)
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	t.Logf("%d nodes in %s; the heap has %d MiB", len(f.nodes), took.Round(10*time.Millisecond), mem.HeapInuse>>20)
	for _, node := range f.nodes {
		why := s.MissingPart(facts.Files, node)
		want := map[string]string{
			"berth-007": `its pod does not start: ErrImagePull: failed to resolve reference "example.test/doctor:1"`,
			"berth-011": `its pod ran, but what it printed is no result: "exec /kubectl-netdoctor: exec format error"`,
			"berth-013": "its pod ran, but its result is cut off or damaged",
		}[node]
		if want == "" && (why != "" || s.Files[node]["/proc/sys/net/ipv4/ip_forward"] != "1\n") || !strings.HasPrefix(why, want) {
			t.Errorf("%s: %d files, %q, want %q", node, len(s.Files[node]), why, want)
		}
	}
	tried := map[string]bool{}
	for _, try := range s.Tries {
		tried[try.Node] = true
	}
	if len(tried) < 8 || len(tried) > 10 || tried["another"] {
		t.Errorf("traffic was tried on %v", tried)
	}
	for name, want := range map[string]string{"still": "", "moving": "its endpoints changed while the nodes were looked at"} {
		if why := s.Gaps["host/"+host.Changed(facts.Ref{Namespace: "default", Name: name})]; why != want {
			t.Errorf("Service %s: %q, want %q", name, why, want)
		}
	}
	if len(warned) > 0 {
		t.Errorf("warnings: %q", warned)
	}
	f.clean(t)
}

// slice gives a Service an endpoint, in place of the one that it had.
func (f *fleet) slice(t *testing.T, service, address string) {
	client := f.p.Client.DiscoveryV1().EndpointSlices("default")
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: service, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{address}}},
	}
	_, err := client.Create(context.Background(), slice, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = client.Update(context.Background(), slice, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Errorf("EndpointSlice %s: %v", service, err)
	}
}

// TestLookInterrupted ends a look while one pod runs, as Ctrl-C does: nothing is left, and
// nothing looks like an answer.
func TestLookInterrupted(t *testing.T) {
	f := startFleet(t, 3)
	f.hang["berth-001"] = true
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var told atomic.Int32
	f.prints = func(_, node string) string {
		if told.Add(1) == 2 { // the log is read while the look goes on; the end comes after
			time.AfterFunc(time.Second, interrupt)
		}
		return result(node)
	}
	s, _ := f.look(t, ctx, f.p.Config, facts.Host)
	if why := s.MissingPart(facts.Files, "berth-001"); why != "its pod did not end in time" {
		t.Errorf("the node whose pod hangs: %q", why)
	}
	if s.MissingPart(facts.Files, "berth-002") != "" {
		t.Errorf("another node: %q", s.MissingPart(facts.Files, "berth-002"))
	}
	f.clean(t)
}

// TestPolicyOfTheNamespace has somebody give the doctor's namespace a NetworkPolicy after the
// cluster was listed: what the pods tried is unknown, with the reason, also in a bundle.
func TestPolicyOfTheNamespace(t *testing.T) {
	f := startFleet(t, 2)
	f.prints = func(_, node string) string {
		deny := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "every-namespace"}}
		_, err := f.p.Client.NetworkingV1().NetworkPolicies(probe.Namespace).Create(context.Background(), deny, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Errorf("making a NetworkPolicy: %v", err)
		}
		return result(node)
	}
	s, _ := f.look(t, t.Context(), f.p.Config, facts.Host)
	if why := s.Missing(facts.Tries); why != "NetworkPolicy kubectl-netdoctor/every-namespace limits what the pods that try can reach" || len(s.Tries) > 0 {
		t.Errorf("what was tried: %q, %v", why, s.Tries)
	}
	if why := s.MissingPart(facts.Files, "berth-001"); why != "" {
		t.Errorf("the node's files: %q", why)
	}
	f.clean(t)
}

// TestPodThatStays has a node whose pod does not go when it is told to: the look ends all the
// same, says what is left behind, and cleanup removes it once it can go.
func TestPodThatStays(t *testing.T) {
	f := startFleet(t, 2)
	f.hang["berth-001"], f.stays = true, new(atomic.Bool)
	f.stays.Store(true)
	ctx, end := context.WithTimeout(t.Context(), 5*time.Second)
	defer end()
	begin := time.Now()
	s, warned := f.look(t, ctx, f.p.Config, facts.Host)
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("it took %s", took)
	}
	if why := s.MissingPart(facts.Files, "berth-001"); why != "its pod did not end in time" {
		t.Errorf("the node whose pod stays: %q", why)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "is not clean: it is being deleted, and was not gone after 30s") || !strings.Contains(warned[0], "kubectl netdoctor cleanup") {
		t.Errorf("warnings: %q", warned)
	}
	f.stays.Store(false)
	if o := f.p.run(t, "cleanup", "-y"); o.code != 0 {
		t.Errorf("cleanup: exit %d\n%s", o.code, o.stderr)
	}
	f.clean(t)
}

// TestLookWithItsRightsAlone gives a user what "rbac --depth host" prints, and no more.
func TestLookWithItsRightsAlone(t *testing.T) {
	f := startFleet(t, 2)
	const user = "oncall"
	config := rest.CopyConfig(f.p.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}

	s, _ := f.look(t, t.Context(), config, facts.Host)
	if why := s.Missing(facts.Files); !strings.HasPrefix(why, "forbidden: you may not create jobs") || !strings.Contains(why, "kubectl netdoctor rbac --depth host") {
		t.Errorf("without any right: %q", why)
	}
	f.clean(t)

	f.grant(t, user, f.p.run(t, "rbac", "--depth", "host").stdout)
	other := f.other(t)
	s, warned := f.look(t, t.Context(), config, facts.Host)
	for _, node := range f.nodes {
		if why := s.MissingPart(facts.Files, node); why != "" {
			t.Errorf("%s: %s", node, why)
		}
	}
	if len(warned) > 0 {
		t.Errorf("warnings: %q", warned)
	}
	left := func(when string, want ...string) {
		t.Helper()
		jobs, err := f.p.Client.BatchV1().Jobs(probe.Namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, job := range jobs.Items {
			names = append(names, job.Name)
		}
		services, err := f.p.Client.CoreV1().Services(probe.Namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range services.Items {
			names = append(names, services.Items[i].Name)
		}
		pods, err := f.p.Client.CoreV1().Pods(probe.Namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(pods.Items) > 0 || !slices.Equal(names, want) {
			t.Errorf("%s the namespace that stays holds jobs and Services %q and %d pods: %v", when, names, len(pods.Items), err)
		}
	}
	left("after the look", other...)
	if o := f.p.run(t, "cleanup", "-y"); o.code != 0 {
		t.Errorf("cleanup: exit %d\n%s", o.code, o.stderr)
	}
	left("after cleanup")
}

// other makes what somebody else's look has made in the namespace that stays.
func (f *fleet) other(t *testing.T) []string {
	t.Helper()
	labels := map[string]string{"app.kubernetes.io/managed-by": "kubectl-netdoctor"}
	job, err := f.p.Client.BatchV1().Jobs(probe.Namespace).Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "host-", Labels: labels},
		Spec: batchv1.JobSpec{Suspend: ptr.To(true), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "host", Image: "example.test/doctor:1"}},
		}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := f.p.Client.CoreV1().Services(probe.Namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "itself-", Labels: labels}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return []string{job.Name, svc.Name}
}

// grant applies what rbac prints, as an administrator, and binds it to a user.
func (f *fleet) grant(t *testing.T, user, printed string) {
	t.Helper()
	subject := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(printed), 4096)
	made := 0
	for {
		var o struct {
			metav1.TypeMeta   `json:",inline"`
			metav1.ObjectMeta `json:"metadata"`
			Rules             []rbacv1.PolicyRule `json:"rules"`
		}
		if decoder.Decode(&o) != nil {
			break
		}
		made++
		var err, bound error
		meta := metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace, Labels: o.Labels, Annotations: o.Annotations}
		switch o.Kind {
		case "Namespace":
			_, err = f.p.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: meta}, metav1.CreateOptions{})
		case "ServiceAccount":
			_, err = f.p.Client.CoreV1().ServiceAccounts(o.Namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
		case "ClusterRole":
			_, err = f.p.Client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: o.Rules}, metav1.CreateOptions{})
			_, bound = f.p.Client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subject,
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: o.Name}}, metav1.CreateOptions{})
		case "Role":
			_, err = f.p.Client.RbacV1().Roles(o.Namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: o.Rules}, metav1.CreateOptions{})
			_, bound = f.p.Client.RbacV1().RoleBindings(o.Namespace).Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subject,
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: o.Name}}, metav1.CreateOptions{})
		}
		if err != nil || bound != nil {
			t.Fatal(err, bound)
		}
	}
	if made != 4 {
		t.Fatalf("rbac prints %d objects:\n%s", made, printed)
	}
}

// TestTwoLooksAtOnce tells the second one of the first, and leaves that alone.
func TestTwoLooksAtOnce(t *testing.T) {
	f := startFleet(t, 1)
	f.hang["berth-000"] = true
	first, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.look(t, first, f.p.Config, facts.Probe)
	}()
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		_, err := f.p.Client.CoreV1().Namespaces().Get(ctx, probe.Namespace, metav1.GetOptions{})
		return err == nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := f.look(t, t.Context(), f.p.Config, facts.Probe)
	if why := s.Missing(facts.Tries); !strings.Contains(why, "another run is under way") {
		t.Errorf("the second: %q", why)
	}
	if o := f.p.run(t, "cleanup", "-y"); o.code != 0 || !strings.Contains(o.stdout, "Removed.") {
		t.Errorf("cleanup: exit %d\n%s", o.code, o.stderr)
	}
	f.clean(t)
	stop()
	<-ended
	if o := f.p.run(t, "cleanup", "-y"); o.code != 0 || !strings.Contains(o.stdout, "Nothing is left behind") {
		t.Errorf("cleanup of nothing: exit %d\n%s", o.code, o.stdout)
	}
}
