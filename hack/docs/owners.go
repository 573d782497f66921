package main

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// owned has an object for every owner that package fixes knows, with its marks.
var owned = []struct{ object, cluster string }{
	{object: `{metadata: {annotations: {argocd.argoproj.io/tracking-id: x}}}`},
	{object: `{metadata: {labels: {kustomize.toolkit.fluxcd.io/name: NAME}}}`},
	{object: `{metadata: {labels: {helm.toolkit.fluxcd.io/name: NAME}}}`},
	{object: `{metadata: {labels: {addonmanager.kubernetes.io/mode: Reconcile}}}`},
	{object: `{metadata: {annotations: {objectset.rio.cattle.io/id: x}}}`},
	{object: `{metadata: {labels: {dns.operator.openshift.io/owning-dns: default}}}`},
	{object: `{metadata: {ownerReferences: [{apiVersion: operator.example.org/v1, kind: KIND, name: NAME, controller: true}]}}`},
	{object: `{metadata: {namespace: kube-system}}`, cluster: `{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {kubernetes.azure.com/cluster: x}}, spec: {providerID: "azure://x"}}`},
	{object: `{metadata: {annotations: {meta.helm.sh/release-name: NAME}}}`},
	{object: `{metadata: {annotations: {meta.helm.sh/release-name: rke2-NAME}}}`},
	{object: `{metadata: {labels: {eks.amazonaws.com/component: coredns}}}`},
	{object: `{kind: Deployment, metadata: {namespace: kube-system, name: coredns}}`, cluster: `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: kube-system, name: kubeadm-config}}`},
}

// readOwners asks package fixes what it makes of each.
func readOwners() ([]fixes.Owner, error) {
	var out []fixes.Owner
	for _, o := range owned {
		s, err := facts.LoadFiles([]facts.File{{Name: "objects.yaml", Data: []byte(o.cluster)}})
		if err != nil {
			return nil, err
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(o.object), &object.Object); err != nil {
			return nil, err
		}
		check := &checks.Check{}
		fix := &fixes.Fix{For: []*checks.Check{check}, Plan: func(*facts.Snapshot, checks.Finding, fixes.Params) (fixes.Plan, error) {
			return fixes.Plan{Changes: []fixes.Change{{After: object}}}, nil
		}}
		plan, err := fixes.Offer(s, fix, checks.Finding{Check: check}, fixes.Params{})
		if err != nil {
			return nil, err
		}
		if plan.Owner == nil {
			return nil, fmt.Errorf("hack/docs/owners.go: nobody is known as the owner of %s", o.object)
		}
		out = append(out, *plan.Owner)
	}
	return out, nil
}
