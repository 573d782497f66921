package cni

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// absentDelegates adds to what is told of nodes, and tells of those whose Multus hands pods
// on to a file that is not there, or waits for one.
func absentDelegates(s *facts.Snapshot, told []checks.Finding) []checks.Finding {
	all := known(seenNodes(s))
	var net network
	for i := range all {
		c := &all[i]
		used := c.Used()
		if used == nil || len(used.Plugins) == 0 || !strings.HasPrefix(used.Plugins[0].Type, "multus") {
			continue
		}
		for _, key := range []string{"clusterNetwork", "readinessindicatorfile"} {
			file := c.beside(field[string](used.Plugins[0].Raw, key))
			if file == "" || c.holds(file) {
				continue
			}
			if net.has == nil {
				net = look(s)
			}
			told = c.absentDelegate(told, used, key, file, net)
			break
		}
	}
	return told
}

// beside returns the name of a file of the runtime's directory that a path of Multus's
// configuration means, or "": Multus's daemon has the node's files below /host, and a name
// without a directory is none of a file.
func (c *seen) beside(file string) string {
	dir, name := path.Split(file)
	dir = path.Clean(strings.TrimPrefix(dir, "/host"))
	if dir != c.ConfDir || path.Ext(name) == "" || !plain(name) {
		return ""
	}
	return name
}

func (c *seen) holds(name string) bool {
	return slices.ContainsFunc(c.Entries, func(e host.Entry) bool { return e.Name == name })
}

func (c *seen) absentDelegate(told []checks.Finding, used *host.Conf, key, file string, net network) []checks.Finding {
	f := c.among(&told, func() checks.Finding {
		f := checks.Finding{
			Subject: c.ref(),
			Message: fmt.Sprintf("starts no new pod: Multus hands pods on to the file %s of the cluster's network plugin, which is not there", file),
			Remedy: fmt.Sprintf("If the network plugin writes another file, name that one as %s in Multus's configuration; else mend the plugin's agent on the node.",
				key),
		}
		if key == "readinessindicatorfile" {
			f.Message = fmt.Sprintf("starts no new pod: Multus waits for the file %s of the cluster's network plugin", file)
		}
		if id := writes(file); id != "" {
			withAgent(net, &f, id)
		}
		return f
	})
	f.Evidence = append(f.Evidence, c.quote(used.Path, key+": "+file), c.quoteDir())
	if bak := file + ".cilium_bak"; c.holds(bak) {
		f.Remedy = fmt.Sprintf("Set Cilium's value cni.exclusive to false, and on the node rename %s back to %s.", path.Join(c.ConfDir, bak), file)
	}
	return told
}
