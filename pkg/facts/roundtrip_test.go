package facts

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

var created = metav1.NewTime(time.Date(2026, 6, 1, 8, 30, 0, 0, time.UTC))

func named(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "u-1", CreationTimestamp: created, Labels: map[string]string{"app": name}}
}

// secretive is what nobody wants to find in a bundle.
func secretive(m metav1.ObjectMeta) metav1.ObjectMeta {
	m.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "secret-manager"}}
	m.Annotations = map[string]string{lastApplied: `{"secret":"annotation"}`, "kept": "yes"}
	return m
}

func podSpecWithEnv() corev1.PodSpec {
	env := []corev1.EnvVar{
		{Name: "TOKEN", Value: "secret-value"},
		{Name: "NODE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}},
	}
	return corev1.PodSpec{
		ServiceAccountName: "sa",
		InitContainers:     []corev1.Container{{Name: "init", Image: "i", Env: env}},
		Containers: []corev1.Container{{Name: "c", Image: "i", Env: env,
			Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"memory": resource.MustParse("170Mi")}}}},
		EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e", Env: env}}},
	}
}

func everyObject() map[*Source][]runtime.Object {
	pod := &corev1.Pod{ObjectMeta: secretive(named("a", "p")), Spec: podSpecWithEnv(),
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "10.1.0.4"}, {IP: "fd00::4"}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: created}}}}
	deployment := &appsv1.Deployment{ObjectMeta: secretive(named("a", "d"))}
	deployment.Spec.Template.Spec = podSpecWithEnv()
	daemonSet := &appsv1.DaemonSet{ObjectMeta: secretive(named("a", "ds"))}
	daemonSet.Spec.Template.Spec = podSpecWithEnv()
	return map[*Source][]runtime.Object{
		Nodes:       {&corev1.Node{ObjectMeta: secretive(named("", "n1"))}, &corev1.Node{ObjectMeta: named("", "n2")}},
		Namespaces:  {&corev1.Namespace{ObjectMeta: secretive(named("", "a"))}},
		Pods:        {pod, &corev1.Pod{ObjectMeta: named("b", "p")}},
		Services:    {&corev1.Service{ObjectMeta: secretive(named("a", "s")), Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.10"}}},
		Deployments: {deployment}, DaemonSets: {daemonSet},
		EndpointSlices: {&discoveryv1.EndpointSlice{ObjectMeta: secretive(named("a", "s-x")), AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.4"}}}}},
		ConfigMaps:      {&corev1.ConfigMap{ObjectMeta: secretive(named("kube-system", "coredns")), Data: map[string]string{"Corefile": ".:53 {\n}\n"}}},
		Events:          {&corev1.Event{ObjectMeta: secretive(named("a", "e")), Message: "m", LastTimestamp: created}},
		ServiceAccounts: {&corev1.ServiceAccount{ObjectMeta: secretive(named("a", "sa"))}},
		ClusterRoles: {&rbacv1.ClusterRole{ObjectMeta: secretive(named("", "r")),
			Rules: []rbacv1.PolicyRule{{Verbs: []string{"list"}, Resources: []string{"pods"}}}}},
		ClusterRoleBindings: {&rbacv1.ClusterRoleBinding{ObjectMeta: secretive(named("", "b")), RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "r"}}},
		NetworkPolicies:     {&networkingv1.NetworkPolicy{ObjectMeta: secretive(named("a", "np")), Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Egress"}}}},
		StatefulSets:        {&appsv1.StatefulSet{ObjectMeta: named("a", "sts"), Spec: appsv1.StatefulSetSpec{ServiceName: "s", Template: *deployment.Spec.Template.DeepCopy()}}},
		Ingresses:           {&networkingv1.Ingress{ObjectMeta: secretive(named("a", "in")), Spec: networkingv1.IngressSpec{IngressClassName: ptr.To("c")}}},
		HTTPRoutes:          {&gatewayv1.HTTPRoute{ObjectMeta: secretive(named("a", "route")), Spec: gatewayv1.HTTPRouteSpec{Hostnames: []gatewayv1.Hostname{"h"}}}},
		ServiceCIDRs:        {&networkingv1.ServiceCIDR{ObjectMeta: secretive(named("", "kubernetes")), Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/12"}}}},
		APIServices:         {&apiregistrationv1.APIService{ObjectMeta: secretive(named("", "v1.x")), Spec: apiregistrationv1.APIServiceSpec{Group: "x"}}},
		ValidatingWebhooks:  {&admissionv1.ValidatingWebhookConfiguration{ObjectMeta: secretive(named("", "v"))}},
		MutatingWebhooks:    {&admissionv1.MutatingWebhookConfiguration{ObjectMeta: secretive(named("", "m"))}},
	}
}

// files records objects as gather does and returns the bundle beside the snapshot.
func files(t *testing.T, objects map[*Source][]runtime.Object) (*Snapshot, []File) {
	t.Helper()
	record := new(Recorder)
	b := NewBuilder(created.Time, "v1.37.2", Logs)
	b.Scope("a")
	for _, src := range Sources() {
		for _, obj := range objects[src] {
			if err := record.Record(src, obj); err != nil {
				t.Fatal(err)
			}
			if err := b.Add(obj); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.AddLog("a", "p", "c", Log{Current: "now\n", Previous: "then\n"})
	b.AddLog("a", "p", "init", Log{})
	b.AddProxy("a", "p", "8181", "/ready", "OK")
	b.AddProxy("a", "p", "9153", "debug/metrics", "up 1\n")
	b.AddMetrics("a", "p", Scrape{created.Add(3*time.Second + 456789*time.Nanosecond), "up 2\n"})
	b.AddMetrics("a", "p", Scrape{created.Time, "up 1\n"})
	b.AddConfigz("n1", &kubeletv1beta1.KubeletConfiguration{ClusterDNS: []string{"10.96.0.10"}})
	b.AddAnswer(Answer{Namespace: "a", Pod: "p", Kind: AnswerOutside, Name: "far.example.", Type: "A", Took: 5 * time.Second, Err: "no answer in 5 s"})
	b.AddAnswer(Answer{Namespace: "a", Pod: "p", Kind: AnswerCluster, Name: "kubernetes.default.svc.a.", Type: "AAAA", Rcode: "NOERROR",
		Records: []string{"fd00::1", "fd00::2"}, Took: 1234567 * time.Nanosecond})
	b.Gap(Answers, "a/q", "timed out")
	b.AddFile("n1", "/etc/resolv.conf", "nameserver 127.0.0.53\n")
	b.Gap(Configz, "n2", "timed out")
	b.Gap(Files, "", "read only at --depth host")
	s := b.Build()
	s.drop(Files)
	var out []File
	if err := record.WriteTo(s, func(name string, size int64, body io.Reader) error {
		data, err := io.ReadAll(body)
		if err != nil || int64(len(data)) != size {
			t.Errorf("%s: %d bytes of %d, %v", name, len(data), size, err)
		}
		out = append(out, File{name, data})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return s, out
}

func TestRoundTrip(t *testing.T) {
	objects := everyObject()
	s, bundle := files(t, objects)
	got, err := LoadFiles(bundle)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range objects {
		for _, obj := range list {
			withoutSecrets(obj.(metav1.Object)) // the snapshot holds these, the bundle what is left of them
		}
	}
	opts := cmp.Options{cmpopts.IgnoreUnexported(Snapshot{}), cmpopts.EquateEmpty(), cmpopts.IgnoreTypes(metav1.TypeMeta{}),
		cmp.Comparer(func(a, b metav1.Time) bool { return a.Time.Equal(b.Time) })}
	if d := cmp.Diff(s, got, opts); d != "" {
		t.Errorf("(-saved +loaded):\n%s", d)
	}
	for _, src := range Sources() {
		if src.Object() && len(objects[src]) == 0 {
			t.Errorf("%s: not tried", src)
		}
	}
	if !slices.IsSortedFunc(bundle, func(a, b File) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the files come in no fixed order")
	}
}

func TestRedaction(t *testing.T) {
	objects := everyObject()
	hidden := &corev1.ConfigMap{ObjectMeta: named("shop", "cm"), Data: map[string]string{"password": "secret-map"}}
	objects[ConfigMaps] = append(objects[ConfigMaps], hidden)
	_, bundle := files(t, objects)
	var all strings.Builder
	for _, f := range bundle {
		if strings.HasPrefix(f.Name, "shop/") {
			t.Errorf("%s is in the bundle", f.Name)
		}
		all.Write(f.Data)
	}
	for word, want := range map[string]int{
		"secret": 0, `"name":"TOKEN"`: 12, "spec.nodeName": 12, `"kept":"yes"`: 19, "managedFields": 0,
	} {
		if got := strings.Count(all.String(), word); got != want {
			t.Errorf("%s: got %d times, want %d", word, got, want)
		}
	}
	if got := hidden.Data["password"]; got != "secret-map" {
		t.Errorf("recording changed an object: %q", got)
	}
}

// Recording leaves the object that it was handed as it is.
func TestRecordCopies(t *testing.T) {
	objects, want := everyObject(), everyObject()
	record := new(Recorder)
	for src, list := range objects {
		for i, obj := range list {
			if err := record.Record(src, obj); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want[src][i], obj); d != "" {
				t.Errorf("%s (-want +got):\n%s", src, d)
			}
		}
	}
}

func TestRecordRefuses(t *testing.T) {
	err := new(Recorder).Record(Pods, &corev1.PodList{})
	if got, want := err.Error(), "recording a *v1.PodList: not an API object"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNoSecrets(t *testing.T) {
	for _, src := range Sources() {
		if strings.Contains(strings.ToLower(src.Name+src.Kind), "secret") {
			t.Errorf("%s is a source", src)
		}
	}
	if err := NewBuilder(time.Time{}, "", API).Add(&corev1.Secret{}); err == nil {
		t.Error("a Secret was taken")
	}
	s := loadFiles(t, map[string]string{"a/secrets.json": `{"items":[{"metadata":{"name":"s"},"data":{"a":"b"}}]}`})
	if d := cmp.Diff(loadFiles(t, nil), s, cmpopts.IgnoreUnexported(Snapshot{})); d != "" {
		t.Errorf("something was read of it:\n%s", d)
	}
}

// A reason that nobody gave must not read as "it was read".
func TestGapWithoutReason(t *testing.T) {
	s := loadFiles(t, map[string]string{
		"bundle.json": `{"bundle": 1, "taken": "2026-11-23T04:40:08Z", "sources": ["pods", "logs"]}`,
		"pods.json":   `{"kind": "PodList", "items": []}`,
		"gaps.json":   `{"nodes": "", "logs/ice/fjord-0": ""}`,
	})
	if s.Missing(Nodes) == "" {
		t.Error("nodes count as read")
	}
	if s.MissingPart(PodLogs, "ice/fjord-0") == "" {
		t.Error("the pod's log counts as read")
	}
}

// A bundle can be read again whatever times the API takes.
func TestRecordOddTimes(t *testing.T) {
	for _, text := range []string{"9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59"} {
		var at metav1.Time
		if err := at.UnmarshalJSON([]byte(`"` + text + `"`)); err != nil {
			t.Fatal(err)
		}
		_, bundle := files(t, map[*Source][]runtime.Object{Events: {&corev1.Event{ObjectMeta: named("a", "e"), LastTimestamp: at, Message: "m"}}})
		if _, err := LoadFiles(bundle); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A bundle can be read again whatever stands beside a secret in its texts: the escape before
// one, and the quote behind it, are not of it.
func TestRecordOddTexts(t *testing.T) {
	for _, text := range []string{"x\nplum1.0123456789abcdeg", "-----BEGIN PRIVATE KEY-----\"x", "eyJhbGciOiJSUzI1.a.\\"} {
		_, bundle := files(t, map[*Source][]runtime.Object{Events: {&corev1.Event{ObjectMeta: named("a", "e"), Message: text}}})
		s, err := LoadFiles(bundle)
		if err != nil || len(s.Events) != 1 {
			t.Errorf("%q: %v", text, err)
		}
	}
}
