package kubelet

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// CNIFlags finds kubelets that are started with flags of network plugins, which they do not know
// any more.
var CNIFlags = &checks.Check{
	ID:       "kubelet-cni-flags",
	Title:    "Kubelets are started without the flags of network plugins that are gone",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/migrating-from-dockershim/troubleshooting-cni-plugin-related-errors/",
	Needs:    []*facts.Source{facts.Files, facts.Nodes},
	Parts:    cniFlagParts,
	Explains: []*checks.Check{symptom.NodeNotReady},
	ByHand: []string{"kubectl get nodes # the columns STATUS and VERSION", "systemctl cat kubelet; cat /etc/default/kubelet /var/lib/kubelet/kubeadm-flags.env # on the node",
		"ps -o args= -C kubelet # on the node", "journalctl -u kubelet | grep 'unknown flag' # on the node"},
	Run: findCNIFlags,
	Doc: `Until 1.23 kubelets called network plugins themselves where Docker ran the containers: --network-plugin, --cni-bin-dir,
--cni-conf-dir, --cni-cache-dir and --network-plugin-mtu. Kubernetes 1.24 removed them. A kubelet that is given one does not start: "failed to parse
kubelet flag: unknown flag: --network-plugin" stands in its log, and the node becomes not Ready.

A pod cannot look at a node whose kubelet is down. What --depth host shows is a file with such a flag while a kubelet runs that was started before it
was written: that is a warning, since the next start fails. A kubelet before 1.24 still knows the flags: while the API server is of 1.24 or later that is worth
knowing, since the update comes. Where files were brought by hand of a node that says nothing any more it is an error.

Read are the kubelet's arguments, /etc/default/kubelet or /etc/sysconfig/kubelet, and /etc/systemd/system/kubelet.service.d. kubeadm's own
/var/lib/kubelet/kubeadm-flags.env is not looked at: what stands there shows in the arguments of the kubelet that runs. Where a drop-in names another file with variables
(EnvironmentFile), the answer is unknown.

**How it comes about**: the package was updated and its files were kept; a provisioning tool (kubespray, a template of cloud-init) goes on writing the flags.

**Cure**: take the flags out of the file and start the kubelet anew. Where network plugins and their configuration are is the runtime's business: conf_dir and
bin_dirs of containerd, network_dir and plugin_dirs of CRI-O.`,
}

// removed are the flags of network plugins that kubelets do not know since 1.24
// (kubernetes/kubernetes#106907).
var removed = []string{"--network-plugin", "--network-plugin-mtu", "--cni-bin-dir", "--cni-conf-dir", "--cni-cache-dir"}

// unflagged is the first minor version without them.
const unflagged = 24

func cniFlagParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, n := range s.LinuxNodes() {
		files := host.Of(s, n.Name).KubeletStartFiles()
		version := minor(n.Status.NodeInfo.KubeletVersion)
		if version < unflagged {
			files = append(files, host.KubeletCmdline)
		}
		if version != 0 {
			out = append(out, checks.Files(s, n.Name, files...)...)
		}
	}
	return out
}

func findCNIFlags(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, n := range s.LinuxNodes() {
		v := host.Of(s, n.Name)
		given := v.KubeletStarts()
		version := minor(n.Status.NodeInfo.KubeletVersion)
		if version == 0 {
			continue
		}
		old := version < unflagged
		if old {
			given = append(given, v.KubeletRuns()...)
		}
		given = slices.DeleteFunc(given, func(f host.Flag) bool { return !slices.Contains(removed, f.Name) })
		if len(given) > 0 && (!old || minor(s.Server) >= unflagged) {
			out = append(out, cniFlags(n, old, given))
		}
	}
	return out
}

func cniFlags(n *corev1.Node, old bool, given []host.Flag) checks.Finding {
	var names, files []string
	f := checks.Finding{Subject: facts.NodeRef(n.Name)}
	for _, flag := range given {
		if !slices.Contains(names, flag.Name) {
			names = append(names, flag.Name)
		}
		if !slices.Contains(files, flag.File) && flag.File != host.KubeletCmdline {
			files = append(files, flag.File)
		}
		if len(f.Evidence) < maxQuoted*2 {
			f.Evidence = append(f.Evidence, checks.QuoteFile(n.Name, flag.File, fmt.Sprintf("%s=%.80s", flag.Name, flag.Value)))
		}
	}
	f.Evidence = append(f.Evidence, checks.Quote("Node "+n.Name+", kubeletVersion", n.Status.NodeInfo.KubeletVersion))
	where := strings.Join(files, " and ")
	if where == "" {
		where = "the files of its service (systemctl cat kubelet)"
	}
	flags := strings.Join(names, ", ")
	f.Remedy = fmt.Sprintf("On the node, take %s out of %s, then start the kubelet anew (systemctl daemon-reload; systemctl restart kubelet).", flags, where)
	ready := facts.NodeReady(n)
	switch {
	case ready != nil && ready.Status == corev1.ConditionUnknown:
		f.Severity = checks.Error
		f.Message = fmt.Sprintf("is silent, and its kubelet is started with %s, which kubelets since 1.24 do not know: they do not start", flags)
	case old:
		f.Severity = checks.Info
		f.Message = fmt.Sprintf("will have no kubelet after its update: kubelets since 1.24 do not start with %s", flags)
		f.Remedy = fmt.Sprintf("Before the update to 1.24, let the node use containerd, CRI-O or cri-dockerd, and take %s out of %s.", flags, where)
	default:
		f.Message = fmt.Sprintf("will have no kubelet after its next start: its files give it %s, which kubelets since 1.24 do not know", flags)
	}
	return f
}
