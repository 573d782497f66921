package cni

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// RuntimeDeprecated finds nodes whose containerd is told with an old word where the programs are.
var RuntimeDeprecated = &checks.Check{
	ID:       "runtime-cni-deprecated",
	Title:    "containerd is told where the network plugins' programs are in words that it knows",
	Severity: checks.Info,
	URL:      "https://github.com/containerd/containerd/blob/main/RELEASES.md#deprecated-config-properties",
	Needs:    []*facts.Source{facts.Files, facts.Nodes},
	Parts:    runtimeParts,
	Explains: []*checks.Check{BinaryMissing},
	ByHand: []string{"kubectl get nodes -o wide # the column CONTAINER-RUNTIME", "grep -n -B3 bin_dir /etc/containerd/config.toml # on the node",
		"containerd config dump | grep -A3 bin_dir # on the node", "crictl info | grep -A2 binDir # on the node"},
	Run: findRuntimeDeprecated,
	Doc: `containerd looks for the programs of network plugins in the directories that its configuration names, and in /opt/cni/bin where it
names none. Until 2.0 that is ` + "`bin_dir`" + `, one directory. 2.1 brought the list ` + "`bin_dirs`" + `; 2.4 does not know bin_dir any more, passes over it with a
warning in its log, and looks in /opt/cni/bin. If the programs are elsewhere, no pod starts after the update (**cni-binary-missing**).

It is worth knowing where 2.1 to 2.3 still take bin_dir, and a warning where 2.4 or a later one looks elsewhere for it; so it is where both are set, since 2.1 to 2.3
do not load their part for Kubernetes then. Only files of version 3 and later are meant: what stands in those of version 2, below
` + "`io.containerd.grpc.v1.cri`" + `, containerd translates.

**Cure**: write ` + "`bin_dirs = [\"DIRECTORY\"]`" + ` in place of ` + "`bin_dir = \"DIRECTORY\"`" + ` in the section ` + "`[plugins.'io.containerd.cri.v1.runtime'.cni]`" + ` of
/etc/containerd/config.toml, and restart containerd; pods go on meanwhile.`,
}

// runtimeParts names the nodes of which must be known how their containerd is configured.
func runtimeParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, n := range s.LinuxNodes() {
		v := host.Of(s, n.Name)
		r := v.Runtime(n)
		switch {
		case r.Name == "containerd" && !r.AtLeast(2, 1) || r.Name != "containerd" && r.Name != "":
		case !v.Known():
			out = append(out, checks.Part{Source: facts.Files, Key: n.Name})
		case r.Unknown != "":
			out = append(out, checks.Part{Source: facts.Files, Key: n.Name, Lacks: r.Unknown})
		}
	}
	return out
}

func findRuntimeDeprecated(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, n := range s.LinuxNodes() {
		r := host.Of(s, n.Name).Runtime(n)
		if r.Unknown != "" || r.Name != "containerd" || !r.AtLeast(2, 1) {
			continue
		}
		for _, file := range r.Files {
			if file.BinDir != "" && file.Version >= 3 {
				out = append(out, oldWord(n.Name, &r, file))
				break
			}
		}
	}
	return out
}

func oldWord(node string, r *host.Runtime, file host.RuntimeFile) checks.Finding {
	lists := func(f host.RuntimeFile) bool {
		return len(f.BinDirs) > 0 && !slices.Equal(f.BinDirs, []string{"/opt/cni/bin"}) // that counts as not set
	}
	f := checks.Finding{
		Subject: facts.NodeRef(node),
		Message: "names the directory of the network plugins' programs as bin_dir, which containerd 2.4 does not know any more",
		Remedy:  fmt.Sprintf("Write bin_dirs = [%q] in place of bin_dir in %s of the node before it is updated to 2.4, and restart containerd.", file.BinDir, file.Path),
		Evidence: []checks.Evidence{checks.QuoteFile(node, file.Path, fmt.Sprintf("bin_dir = %q", file.BinDir)),
			checks.Quote("Node "+node, fmt.Sprintf("containerd %d.%d", r.Major, r.Minor))},
	}
	switch {
	case !r.AtLeast(2, 4) && slices.ContainsFunc(r.Files, lists):
		f.Severity = checks.Warning
		f.Message = "will start no pod after its containerd has started anew: its configuration names both bin_dir and bin_dirs"
		f.Remedy = fmt.Sprintf("Take bin_dir out of %s of the node, and add its directory to bin_dirs; then restart containerd.", file.Path)
	case r.AtLeast(2, 4) && !slices.Contains(r.BinDirs, strings.TrimRight(file.BinDir, "/")):
		f.Severity = checks.Warning
		f.Message = fmt.Sprintf("looks for the network plugins' programs in %s: its containerd does not know the word bin_dir any more", strings.Join(r.BinDirs, " and "))
		f.Remedy = fmt.Sprintf("Write bin_dirs = [%q] in place of bin_dir in %s of the node, and restart containerd.", file.BinDir, file.Path)
	case r.AtLeast(2, 4):
		f.Message = "names the directory of the network plugins' programs as bin_dir too, which its containerd passes over"
		f.Remedy = fmt.Sprintf("Take bin_dir out of %s of the node: the programs are looked for in %s.", file.Path, strings.Join(r.BinDirs, " and "))
	}
	return f
}
