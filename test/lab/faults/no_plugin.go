package faults

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
)

// noPlugin takes the network plugin away as if it had never been installed.
// CoreDNS is scaled down meanwhile: its sandboxes could not be taken down
// without the plugin, and on a new cluster it starts later than the nodes do.
func noPlugin() *Fault {
	const id = "no-plugin"
	return &Fault{
		ID: id, Slow: true, Title: "no network plugin is installed", Shell: true,
		Break: func(ctx context.Context, lab Lab) error {
			if err := keep(ctx, lab, id, dnsDeployment(), flannelSet(), flannelConfig()); err != nil {
				return err
			}
			return all(ctx, lab, writeManifest, removePlugin)
		},
		Shown: ofSystem(podsSay, dnsPods, `"reason":"Unschedulable"`),
		Again: removePlugin,
		Mend:  func(ctx context.Context, lab Lab) error { return restore(ctx, lab, id) },
		Root:  "cni-not-installed",
		Fix:   []string{"cni-not-installed", "--plugin", "flannel", "--manifest", flannelManifest(), "--pod-cidr", "10.244.0.0/16"},
	}
}

// flannelManifest is the file from which the plugin is installed again.
func flannelManifest() string { return filepath.Join(os.TempDir(), "netdoctor-lab-flannel.json") }

// writeManifest writes the plugin's objects to that file, as long as they are there.
func writeManifest(ctx context.Context, lab Lab) error {
	if _, err := get(ctx, lab, flannelSet()...); isNotFound(err) {
		return nil
	}
	var text []byte
	for _, ref := range [][]string{
		{"namespace", flannel}, {"clusterrole", "flannel"}, {"clusterrolebinding", "flannel"}, {"-n", flannel, "serviceaccount", "flannel"},
		flannelConfig(), flannelSet(),
	} {
		o, err := get(ctx, lab, ref...)
		if err != nil {
			return err
		}
		one, err := json.Marshal(portable(o))
		if err != nil {
			return err
		}
		text = slices.Concat(text, []byte("---\n"), one, []byte("\n"))
	}
	return os.WriteFile(flannelManifest(), text, 0o600)
}

func removePlugin(ctx context.Context, lab Lab) error {
	for _, step := range [][]string{
		{"-n", system, "scale", "deployment", "coredns", "--replicas=0"},
		{"-n", system, "delete", "pods", "-l", dnsPods, "--now"},
		append([]string{"delete", "--ignore-not-found"}, flannelSet()...),
		append([]string{"delete", "--ignore-not-found"}, flannelConfig()...),
	} {
		if err := do(ctx, lab, step...); err != nil {
			return err
		}
	}
	if err := each(ctx, lab, dropConflist); err != nil {
		return err
	}
	if err := until(ctx, func() error { return nodesWithoutNetwork(ctx, lab) }); err != nil {
		return err
	}
	return do(ctx, lab, "-n", system, "scale", "deployment", "coredns", "--replicas=1")
}

func dropConflist(ctx context.Context, lab Lab, node string) error {
	_, err := lab.Exec(ctx, node, "rm", "-f", conflist)
	return err
}
