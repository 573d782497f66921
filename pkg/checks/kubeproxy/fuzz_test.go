package kubeproxy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-proxy/config/v1alpha1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/test/seeds"
)

// hostileYAML are texts at the edges of YAML and of what a decoder must bound.
var hostileYAML = []string{
	"", "null", "[]", "---\n---\n", "\t", "\xff\xfe", "a: &a [*a]", "a: *nowhere", "{}{}", "? a\n: b", "!!binary x", "a: 1\na: 2", "<<: {a: 1}",
	"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n" +
		"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n",
	strings.Repeat("[", 20_000), strings.Repeat("{a: ", 5_000), "\"\\ud800\"", "a: 1e999", "a: 0x7fffffffffffffffffff", "a: 2001-01-01", "a: .nan",
}

const (
	configHead     = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
	kubeconfigHead = "apiVersion: v1\nkind: Config\n"
)

// FuzzDecode gives any text. A configuration that is accepted says the same when it is
// written out and read again, with nothing left to ignore; and no message is much longer
// than the text.
func FuzzDecode(f *testing.F) {
	for _, text := range seeds.Values(f, "config.conf") {
		f.Add(text)
	}
	for _, text := range hostileYAML {
		f.Add(text)
		f.Add(configHead + text)
	}
	for _, text := range []string{
		"mode: iptables\nMode: ipvs\nmode: nftables", "clusterCIDR: 10.0.0.0/8,fd00::/8", "clusterCIDR: [10.0.0.0/8]", "iptables:\n  syncPeriod: 1\n  minSyncPeriod: -1s",
		"conntrack:\n  maxPerCore: -1\n  max: 3\n  tcpEstablishedTimeout: 1e400h", "featureGates:\n  A: maybe", "nodePortAddresses: [primary, 1.2.3.4/33]",
		"bindAddress: 0.0.0.0%eth0\nhealthzBindAddress: ':'\nmetricsBindAddress: '[::]'", "ipvs:\n  excludeCIDRs: [x]\n  scheduler: \"\\x00\"",
		"logging:\n  verbosity: 99999999999999999999", "unknown: {deep: {deeper: 1}}", "kind: KubeProxyConfiguration",
		"<<: {a: 1}",
	} {
		f.Add(configHead + text)
	}
	f.Add("apiVErsion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n<<: {a: 1}")
	f.Fuzz(func(t *testing.T, text string) {
		config, ignored, err := decode(text)
		if err != nil {
			if config != nil || ignored != nil || strings.Contains(err.Error(), " in scheme ") || len(err.Error()) > 1000+8*len(text) {
				t.Errorf("decode = %v, %q, %q", config, ignored, err)
			}
			return
		}
		for _, said := range ignored {
			if complaint.FindString(said) != said {
				t.Errorf("%q is no complaint about one field", said)
			}
		}
		// A key of another case is read all the same, and then not kept.
		config.APIVersion, config.Kind = v1alpha1.SchemeGroupVersion.String(), "KubeProxyConfiguration"
		written, err := yaml.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		again, ignored, err := decode(string(written))
		if err != nil || len(ignored) > 0 {
			t.Fatalf("what was accepted is refused when written out: %v, ignoring %q\n%s", err, ignored, written)
		}
		if d := cmp.Diff(config, again); d != "" {
			t.Errorf("(-read +written and read):\n%s", d)
		}
		for _, bad := range validate(config) {
			if bad.field == "" || bad.wants == "" || lineOf(text, bad.field, bad.value) == "" {
				t.Errorf("a fault without a name: %+v", bad)
			}
		}
	})
}

// FuzzKubeconfig gives any text as the kubeconfig of kube-proxy. What is read of it stands
// there, and is the same when it is written out and read again.
func FuzzKubeconfig(f *testing.F) {
	for _, text := range seeds.Values(f, "kubeconfig.conf") {
		f.Add(text)
	}
	for _, text := range hostileYAML {
		f.Add(text)
		f.Add(kubeconfigHead + text)
	}
	for _, text := range []string{
		"clusters: [null]\ncontexts: [null]\nusers: [null]", "clusters:\n- {name: a, cluster: {server: 'https://[::1'}}", "clusters:\n- {cluster: {server: x}}\n- {}",
		"current-context: b\ncontexts:\n- {name: a, context: {cluster: a}}\n- {name: b, context: {cluster: b}}\nclusters:\n- {name: b, cluster: {server: '://'}}\n- {name: a}",
		"users:\n- {user: {tokenFile: ../../etc}}", "clusters: {a: b}", "clusters:\n- cluster: {server: \"a\\nb\\x1b[2J\"}", `{"kind": "Config"}`, "kind: Config\nkind: Other",
	} {
		f.Add(kubeconfigHead + text)
	}
	const key = "kubeconfig.conf"
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-proxy"}, Data: map[string]string{}}
	p := mounting(f, cm, key)
	f.Fuzz(func(t *testing.T, text string) {
		cm.Data[key] = text
		k := p.kubeconfig()
		if k == nil {
			return
		}
		if k.at == nil || k.at.data != text || k.at.key != key {
			t.Fatalf("read from %+v: %+v", k.at, k)
		}
		if server := k.server(); server != "" {
			named := false
			for _, c := range k.Clusters {
				named = named || c.Cluster.Server == server
			}
			if !named {
				t.Errorf("server %q is of no cluster: %+v", server, k.Clusters)
			}
		}
		if file := k.tokenFile(); file != "" && len(k.Users) == 0 {
			t.Errorf("token file %q without a user", file)
		}
		written, err := yaml.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		cm.Data[key] = kubeconfigHead + string(written)
		again := p.kubeconfig()
		if again == nil {
			t.Fatalf("it is refused when written out:\n%s", written)
		}
		if again.server() != k.server() || again.tokenFile() != k.tokenFile() {
			t.Errorf("got server %q and token file %q, written out %q and %q", k.server(), k.tokenFile(), again.server(), again.tokenFile())
		}
	})
}

// mounting returns a kube-proxy whose kubeconfig is a key of a ConfigMap.
func mounting(t testing.TB, cm *corev1.ConfigMap, key string) *proxy {
	t.Helper()
	set := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: cm.Namespace, Name: "kube-proxy"}}
	set.Spec.Template.Spec = corev1.PodSpec{
		Containers: []corev1.Container{{
			Name: "kube-proxy", Image: "registry.k8s.io/kube-proxy:v1.37.2", Command: []string{"kube-proxy", "--kubeconfig=/conf/" + key},
			VolumeMounts: []corev1.VolumeMount{{Name: "conf", MountPath: "/conf"}},
		}},
		Volumes: []corev1.Volume{{Name: "conf", VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: cm.Name}},
		}}},
	}
	b := facts.NewBuilder(time.Time{}, "v1.37.2", facts.Logs)
	for _, obj := range []any{cm, set} {
		if err := b.Add(obj); err != nil {
			t.Fatal(err)
		}
	}
	made := templates(b.Build())
	if len(made) != 1 {
		t.Fatalf("%d DaemonSets of kube-proxy", len(made))
	}
	return made[0]
}
