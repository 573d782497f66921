package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	system      = "kube-system"
	dnsPods     = "k8s-app=kube-dns"
	corefileKey = "Corefile"
)

func dnsDeployment() []string { return []string{"-n", system, "deployment", "coredns"} }
func dnsConfig() []string     { return []string{"-n", system, "configmap", "coredns"} }
func dnsService() []string    { return []string{"-n", system, "service", "kube-dns"} }
func dnsRole() []string       { return []string{"clusterrole", "system:coredns"} }

// editCorefile changes the Corefile and keeps it as it was under id.
func editCorefile(ctx context.Context, lab Lab, id string, edit func(string) string) error {
	if err := keep(ctx, lab, id, dnsConfig()); err != nil {
		return err
	}
	text, err := read(ctx, lab, "{.data."+corefileKey+"}", dnsConfig()...)
	if err != nil {
		return err
	}
	edited := edit(text)
	if edited == text {
		return errors.New("there is nothing to edit in the Corefile:\n" + text)
	}
	return patch(ctx, lab, object{"data": object{corefileKey: edited}}, dnsConfig()...)
}

// forwardTo edits a Corefile so that CoreDNS forwards to a server.
func forwardTo(server string) func(string) string {
	return replacing("forward . /etc/resolv.conf", "forward . "+server)
}

func replacing(from, to string) func(string) string {
	return func(text string) string { return strings.ReplaceAll(text, from, to) }
}

// corefileFault is one that is made by an edit of the Corefile alone.
func corefileFault(id, title string, edit func(string) string) *Fault {
	return &Fault{
		ID: id, Title: title,
		Break: func(ctx context.Context, lab Lab) error {
			if err := editCorefile(ctx, lab, id, edit); err != nil {
				return err
			}
			return restartDNS(ctx, lab)
		},
		Mend: mendDNS(id),
	}
}

// restartDNS makes the pods of CoreDNS anew, with the configuration of now.
func restartDNS(ctx context.Context, lab Lab) error { return recreate(ctx, lab, system, dnsPods) }

// mendDNS brings back what was kept. The pods are made anew: one that crashed
// waits for its next start.
func mendDNS(id string) func(context.Context, Lab) error {
	return func(ctx context.Context, lab Lab) error {
		if err := restore(ctx, lab, id); err != nil {
			return err
		}
		return restartDNS(ctx, lab)
	}
}

// changeDNSPods merges a change into the only container, and whatever else of
// the pod is given, of the template of CoreDNS's pods.
func changeDNSPods(ctx context.Context, lab Lab, id string, container, pod object) error {
	if err := keepDNS(ctx, lab, id); err != nil {
		return err
	}
	container["name"] = "coredns"
	spec := object{"containers": []object{container}}
	for field, value := range pod {
		spec[field] = value
	}
	// A strategic merge, unlike patch's, changes a container in place.
	return patchAs(ctx, lab, "strategic", object{"spec": object{"template": object{"spec": spec}}}, dnsDeployment()...)
}

// keepDNS keeps the Deployment of CoreDNS under a fault's name, for one that a doctor may cure.
func keepDNS(ctx context.Context, lab Lab, id string) error {
	if err := keep(ctx, lab, id, dnsDeployment()); err != nil {
		return err
	}
	return disown(ctx, lab, dnsDeployment())
}

// mendDNSPods brings the Deployment back; its rollout replaces the pods.
func mendDNSPods(id string) func(context.Context, Lab) error {
	return func(ctx context.Context, lab Lab) error { return restore(ctx, lab, id) }
}

// noDNSEndpoint is nil once the DNS Service has no ready endpoint.
func noDNSEndpoint(ctx context.Context, lab Lab) error {
	return endpoints(ctx, lab, system, "kube-dns", false)
}

// crashesWith is nil once a pod of CoreDNS has ended with a text in its log.
func crashesWith(text string) func(context.Context, Lab) error {
	return func(ctx context.Context, lab Lab) error {
		if err := podsSay(ctx, lab, system, dnsPods, `"exitCode":1`); err != nil {
			return err
		}
		return logged(ctx, lab, system, dnsPods, text)
	}
}

// rules returns the rules of a role.
func rules(role object) ([]object, error) {
	list, ok := role["rules"].([]any)
	if !ok {
		return nil, fmt.Errorf("the role has no rules: %v", role)
	}
	var out []object
	for _, r := range list {
		if rule, ok := r.(object); ok {
			out = append(out, rule)
		}
	}
	return out, nil
}

// grants tells whether a rule of a role names a resource.
func grants(rule object, resource string) bool {
	list, _ := rule["resources"].([]any)
	return slices.Contains(list, any(resource))
}
