package fixes

import (
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubeproxy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/yamlline"
)

// proxySettles is how long a kube-proxy is watched after its start: one that waits for
// the API server is told after a minute.
const proxySettles = 70 * time.Second

// KubeProxyConfig gives single fields of kube-proxy's files the value that is known to be
// right.
var KubeProxyConfig = &Fix{
	ID:     "kubeproxy-config",
	Title:  "Correct a field of kube-proxy's configuration, and restart it",
	For:    []*checks.Check{kubeproxy.ConfigInvalid, kubeproxy.Kubeconfig, kubeproxy.ClusterCIDR, kubeproxy.IPVSUnusable},
	Risk:   Restarts,
	Settle: proxySettles,
	Plan:   planKubeProxyConfig,
	Doc: `Edits one line of kube-proxy's ConfigMap, keeps every other byte of it, and restarts the DaemonSet, one node after the
other, since kube-proxy reads its files only when it starts. The values that it writes are those that are known:

- **clientConnection.kubeconfig**: the path under which the pods find the one kubeconfig that is mounted
- a key of the ConfigMap that got another name (config.conf, kubeconfig.conf): the name that is read
- **featureGates**: those of which kube-proxy says that it does not know them are taken out
- **server** of the kubeconfig: kubeadm's controlPlaneEndpoint, or without one the only address of the API server
- **clusterCIDR**: kubeadm's podSubnet, --cluster-cidr of the controller manager, Flannel's network, or ` + "`--pod-cidr`" + `, if all pods
  and all podCIDRs of nodes that are in use lie within; sources that contradict each other are refused
- **mode**: iptables, where no kube-proxy can run in mode ipvs, so that nothing is served by it

What has no such value is refused: YAML that cannot be read, a mode that does not exist, addresses that cannot be parsed. It does not
load kernel modules, and does not move a cluster from one mode to another. kubeadm upgrade keeps the ConfigMap.
"kubectl netdoctor undo" writes the former text back and restarts the DaemonSet once more.`,
}

func planKubeProxyConfig(s *facts.Snapshot, f checks.Finding, params Params) (Plan, error) {
	sets := concerned(s, f)
	if len(sets) == 0 {
		return Plan{}, errors.New("the configuration is not in a ConfigMap that a DaemonSet of kube-proxy mounts; correct it where it stands")
	}
	p := sets[0]
	var cm *corev1.ConfigMap
	var warnings []string
	var err error
	switch f.Check {
	case kubeproxy.Kubeconfig:
		cm, warnings, err = rightServer(s, p)
	case kubeproxy.ClusterCIDR:
		cm, warnings, err = rightRange(s, f, p, params)
	case kubeproxy.IPVSUnusable:
		cm, warnings, err = withoutIPVS(s, p)
	default:
		cm, err = startable(p)
	}
	if err != nil {
		return Plan{}, err
	}
	change, err := changeOf("ConfigMap", "v1", s.ConfigMap(cm.Namespace, cm.Name), cm)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Changes: []Change{change}, Warnings: warnings}
	for _, set := range sets {
		if err := plan.roll(s, set.Set); err != nil {
			return Plan{}, err
		}
	}
	return plan, nil
}

// roll adds the restart of a DaemonSet, which makes a changed ConfigMap count.
func (plan *Plan) roll(s *facts.Snapshot, d *appsv1.DaemonSet) error {
	if d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		return fmt.Errorf("%s has the update strategy OnDelete, so that no rollout restarts its pods; make the change by hand and delete them one after the other", setRef(d))
	}
	edited := d.DeepCopy()
	restart(s, &edited.Spec.Template)
	change, err := changeOf("DaemonSet", "apps/v1", d, edited)
	if err != nil {
		return err
	}
	plan.Changes, plan.Rollouts = append(plan.Changes, change), append(plan.Rollouts, setRef(d))
	return nil
}

func setRef(d *appsv1.DaemonSet) facts.Ref {
	return facts.Ref{Kind: "DaemonSet", Namespace: d.Namespace, Name: d.Name}
}

// concerned returns the DaemonSets of kube-proxy that a finding is about: itself, those
// that read a ConfigMap, and those whose pods it shows in.
func concerned(s *facts.Snapshot, f checks.Finding) []kubeproxy.Proxy {
	refs := append([]facts.Ref{f.Subject}, f.Places...)
	for _, pod := range podsOf(s, f) {
		refs = append(refs, pod.Owner)
	}
	var out []kubeproxy.Proxy
	for _, p := range kubeproxy.Proxies(s) {
		reads := slices.ContainsFunc([]*kubeproxy.File{p.Config, p.Kubeconfig}, func(file *kubeproxy.File) bool {
			return file != nil && f.Subject == configMapRef(file.ConfigMap)
		})
		if reads || slices.Contains(refs, p.Ref()) {
			out = append(out, p)
		}
	}
	return out
}

func configMapRef(cm *corev1.ConfigMap) facts.Ref {
	return facts.Ref{Kind: "ConfigMap", Namespace: cm.Namespace, Name: cm.Name}
}

// rewritten returns the ConfigMap of a file with another text in its place.
func rewritten(file *kubeproxy.File, text string, err error) (*corev1.ConfigMap, error) {
	if err != nil {
		return nil, fmt.Errorf("%s, key %s: %w", configMapRef(file.ConfigMap), file.Key, err)
	}
	out := file.ConfigMap.DeepCopy()
	out.Data[file.Key] = text
	return out, nil
}

// startable corrects what keeps kube-proxy from starting. A key is renamed where kubeadm's
// name is the one that is read; else what names it is at fault.
func startable(p kubeproxy.Proxy) (*corev1.ConfigMap, error) {
	if key, found := p.MisnamedConfig(); found && key.Wants == "config.conf" {
		return renamed(key), left(p.Judge(kubeproxy.File{ConfigMap: key.ConfigMap, Key: key.Wants, Text: key.ConfigMap.Data[key.Is]}), 0)
	}
	if p.Config == nil {
		return nil, errors.New("the flag --config of the DaemonSet leads to no configuration; repeat with --with kubeproxy-args")
	}
	if key, found := p.MisnamedKubeconfig(); found && key.Wants == "kubeconfig.conf" {
		return renamed(key), left(p.Judge(*p.Config), 1)
	}
	text, err := corrected(p)
	if err != nil {
		return nil, err
	}
	if err := left(p.Judge(kubeproxy.File{ConfigMap: p.Config.ConfigMap, Key: p.Config.Key, Text: text}), 0); err != nil {
		return nil, err
	}
	return rewritten(p.Config, text, nil)
}

// left refuses to cure some of the faults of a configuration where others would stay: more
// than those that are cured are found.
func left(found []checks.Finding, cured int) error {
	if len(found) <= cured {
		return nil
	}
	return fmt.Errorf("%s %s, and what is right there is not known. %s", found[0].Subject, found[0].Message, found[0].Remedy)
}

// renamed gives a key the name under which it is read.
func renamed(key kubeproxy.Misnamed) *corev1.ConfigMap {
	out := key.ConfigMap.DeepCopy()
	out.Data[key.Wants] = out.Data[key.Is]
	delete(out.Data, key.Is)
	return out
}

// corrected takes out feature gates that are not known, and names the kubeconfig that is
// mounted.
func corrected(p kubeproxy.Proxy) (string, error) {
	text := p.Config.Text
	var err error
	for _, gate := range p.Gates() {
		if text, err = yamlline.Drop(text, "featureGates", gate); err != nil {
			return "", fmt.Errorf("featureGates in %s: %w", configMapRef(p.Config.ConfigMap), err)
		}
	}
	config, err := kubeproxy.Settings(text)
	if err != nil {
		return text, nil // as it is told of what cannot be read
	}
	paths := p.KubeconfigPaths()
	if p.Kubeconfig != nil || len(paths) != 1 || config.ClientConnection.Kubeconfig == "" {
		return text, nil
	}
	return yamlline.Set(text, paths[0], "clientConnection", "kubeconfig")
}

// rightServer sends kube-proxy to the API server.
func rightServer(s *facts.Snapshot, p kubeproxy.Proxy) (*corev1.ConfigMap, []string, error) {
	if p.Kubeconfig == nil || p.Server() == "" {
		return nil, nil, errors.New("the kubeconfig is not in a ConfigMap; correct its server where it stands")
	}
	old := p.Server()
	server, from, err := kubeproxy.RightServer(s, old)
	if err != nil {
		return nil, nil, fmt.Errorf("which server is right is not known: %w; write the right one in by hand: kubectl -n %s edit configmap %s",
			err, checks.ShellWord(p.Kubeconfig.ConfigMap.Namespace), checks.ShellWord(p.Kubeconfig.ConfigMap.Name))
	}
	text, err := yamlline.Swap(p.Kubeconfig.Text, "server", old, server, func(config map[string]any) {
		clusters, _ := config["clusters"].([]any)
		for _, c := range clusters {
			named, _ := c.(map[string]any)
			if cluster, _ := named["cluster"].(map[string]any); cluster["server"] == old {
				cluster["server"] = server
			}
		}
	})
	cm, err := rewritten(p.Kubeconfig, text, err)
	return cm, []string{fmt.Sprintf("Whether the nodes reach %s, of which %s tells, shows when kube-proxy has started.", server, from)}, err
}

// rightRange gives kube-proxy the range in which pods have their addresses.
func rightRange(s *facts.Snapshot, f checks.Finding, p kubeproxy.Proxy, params Params) (*corev1.ConfigMap, []string, error) {
	if p.Config == nil || f.Subject.Kind != facts.ConfigMaps.Kind {
		return nil, nil, errors.New("the range is told by a flag and not by a ConfigMap; set --cluster-cidr in the DaemonSet by hand")
	}
	known, err := clusterRange(params, toldRanges(s, true))
	if err != nil {
		return nil, nil, err
	}
	if !kubeproxy.MasqueradesAs(s, known.ranges) {
		return nil, nil, fmt.Errorf("%s (%s) does not hold the addresses of all pods; name the range that does with --pod-cidr", known, known.from)
	}
	text, err := yamlline.Set(p.Config.Text, known.String(), "clusterCIDR")
	cm, err := rewritten(p.Config, text, err)
	return cm, []string{fmt.Sprintf("Connections that exist keep the address under which they were made. (%s tells of the range.)", known.from)}, err
}

// withoutIPVS takes mode iptables where nothing runs in mode ipvs.
func withoutIPVS(s *facts.Snapshot, p kubeproxy.Proxy) (*corev1.ConfigMap, []string, error) {
	if p.Config == nil {
		return nil, nil, errors.New("the mode is not in a ConfigMap; set it where it stands")
	}
	sick := map[facts.Ref]bool{}
	for _, r := range checks.Run(s, []*checks.Check{kubeproxy.IPVSUnusable}) {
		for _, f := range r.Findings {
			for _, place := range f.Places {
				sick[place] = true
			}
		}
	}
	for _, pod := range p.Pods {
		starts := !pod.Ready || pod.Unsettled(s.Taken, proxySettles) // its last words may not be known
		if !sick[pod.Ref()] && (!starts || p.ModeOf(pod) == "ipvs") {
			return nil, nil, fmt.Errorf("kube-proxy of %s may run in mode ipvs, and another mode would be a migration of its node: load the modules ip_vs, ip_vs_rr, ip_vs_wrr, ip_vs_sh "+
				"and nf_conntrack on the nodes that lack them, or move all nodes by hand", facts.NodeRef(pod.Node))
		}
	}
	text, err := yamlline.Set(p.Config.Text, "iptables", "mode")
	cm, err := rewritten(p.Config, text, err)
	return cm, []string{"No node runs mode ipvs now. If the nodes are to have it, load its modules there (ip_vs, ip_vs_rr, ip_vs_wrr, ip_vs_sh, nf_conntrack), then undo this repair."}, err
}
