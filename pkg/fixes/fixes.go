// Package fixes knows which repairs cure which findings. A fix proposes: it turns a
// finding and the facts into a plan of changes, each an object before and after. It
// has no client and cannot write; package apply does.
package fixes

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Risk says what a repair does to what works.
type Risk int

// The risks, the least first.
const (
	Harmless Risk = iota + 1 // nothing is restarted
	Restarts                 // pods of the network are made anew, others serve meanwhile
	Disrupts                 // traffic is interrupted for a moment
)

// String returns the word that plans use.
func (r Risk) String() string {
	switch r {
	case Harmless:
		return "harmless"
	case Restarts:
		return "restarts"
	case Disrupts:
		return "disrupts"
	}
	return fmt.Sprintf("risk(%d)", int(r))
}

// Fix is a documented repair.
type Fix struct {
	ID, Title, Doc string
	For            []*checks.Check // whose findings it cures
	Risk           Risk

	// Cost says what the repair takes away, such as security. A fix that has one is
	// planned only with Params.AcceptRisk.
	Cost string

	// OnNodes says that it changes nodes. It is planned only with Params.OnNodes.
	OnNodes bool

	// Settle is how long to watch, once the rollout is done, before judging whether the
	// fault is gone.
	Settle time.Duration

	// Plan says what to change, or why this cluster or these parameters do not allow
	// it. It must not change the snapshot.
	Plan func(*facts.Snapshot, checks.Finding, Params) (Plan, error)
}

// Params are what the user passes to a fix.
type Params struct {
	Upstreams  []string // DNS servers, as IP or IP:port
	AcceptRisk bool
	OnNodes    bool   // nodes may be changed
	Plugin     string // the network plugin to install, by its id in plugins.yaml
	Manifest   string // its manifest: objects as YAML, already read
	Origin     string // where Manifest was read, and its sum
	PodCIDR    string // the pods' range, where it is not known
	Interface  string // by which nodes reach each other

	// Settings are the values of nodes' settings that were read, by Setting.Key: nil where
	// one is not there.
	Settings map[string]*string
}

// Plan is what a fix would do.
type Plan struct {
	Fix      *Fix
	Finding  checks.Finding
	Origin   string // where what is created was read, and its sum
	Changes  []Change
	Restarts []*facts.Pod // deleted after the changes, so that they start again at once
	Rollouts []facts.Ref  // whose rollout is awaited
	Warnings []string     // what the changes do not cure, or bring about
	Manual   []string     // what only a person can do, with the values filled in
	Owner    *Owner       // who would take the changes back; nil where nobody is known
}

// Change is an object before and after. Nil says that it does not exist.
type Change struct {
	Before, After *unstructured.Unstructured
}

// Inverse returns the change that takes this one back.
func (c Change) Inverse() Change { return Change{Before: c.After, After: c.Before} }

// Object returns the side that exists, After where both do.
func (c Change) Object() *unstructured.Unstructured {
	if c.After != nil {
		return c.After
	}
	return c.Before
}

// Ref names the object of the change.
func (c Change) Ref() facts.Ref {
	o := c.Object()
	return facts.Ref{Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// All lists every fix.
func All() []*Fix {
	return []*Fix{
		CorefileForward, AllowPrivilegeEscalation,
		CorefileMigrate, CorefileRestore, CorefileReload, CorefileAddPlugin, CorefileZone, CorefileUnshadow,
		CoreDNSScale, CoreDNSMemory, CoreDNSPolicy, CoreDNSNetBind, CoreDNSConfigMapKey, CoreDNSRBAC, CoreDNSRestart, CoreDNSSpread,
		DNSServiceSelector, DNSServicePorts, DNSServiceRecreate,
		ServiceSelector, ServiceTargetPort,
		NetpolAllowDNS, NetpolAllowWebhook, HostNetworkDNSPolicy, KubernetesSlice,
		KubeProxyConfig, KubeProxyArgs, KubeProxyRestart, KubeProxyRestartPod, KubeProxyMode, KubeProxyTolerations, KubeProxyCRB,
		KubeProxyAffinity, KubeProxyRecreate,
		CNIAgentRestart, CNIInstall, FlannelNetConf, FlannelIface, NamespacePSALabel,
		KubeletResolvConf, NodeSysctl, CNIConfAside,
		CoreDNSProbePort, // behind those that mend the Corefile itself
	}
}

// For returns the fixes that cure findings of a check, the preferred one first.
func For(c *checks.Check) []*Fix {
	var out []*Fix
	for _, f := range All() {
		if slices.Contains(f.For, c) {
			out = append(out, f)
		}
	}
	return out
}

// Offer makes the plan of one fix for one finding.
func Offer(s *facts.Snapshot, fix *Fix, finding checks.Finding, params Params) (Plan, error) {
	if !slices.Contains(fix.For, finding.Check) {
		return Plan{}, fmt.Errorf("%s does not cure %s", fix.ID, finding.Check.ID)
	}
	if fix.Cost != "" && !params.AcceptRisk {
		return Plan{}, fmt.Errorf("%s: %s Repeat with --accept-risk to go on", fix.ID, fix.Cost)
	}
	if fix.OnNodes && !params.OnNodes {
		return Plan{}, &OnNodesError{fix}
	}
	plan, err := fix.Plan(s, finding, params)
	if err != nil {
		return Plan{}, err
	}
	plan.Fix, plan.Finding = fix, finding
	for _, c := range plan.Changes {
		if IsSetting(c.Object()) {
			continue
		}
		owner := ownerOf(s, c.Object())
		if owner != nil && (plan.Owner == nil || owner.Reverts && !plan.Owner.Reverts) {
			plan.Owner = owner
		}
	}
	return plan, nil
}

// InPartError says that an object must be read whole before a change of it can be planned.
type InPartError struct{ Ref facts.Ref }

// Error names the object.
func (e *InPartError) Error() string {
	return e.Ref.String() + " was read in part only and cannot be written"
}

// changeOf makes the change of an API object; before or after may be nil interfaces where
// it does not exist.
func changeOf(kind, apiVersion string, before, after metav1.Object) (Change, error) {
	var c Change
	var err error
	if before != nil {
		if c.Before, err = object(kind, apiVersion, before); err != nil {
			return Change{}, err
		}
	}
	if after != nil {
		if c.After, err = object(kind, apiVersion, after); err != nil {
			return Change{}, err
		}
	}
	return c, nil
}

// restartedAt is what kubectl rollout restart writes into a pod template.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

// restart makes a pod template one whose pods are made anew, as kubectl rollout restart
// does.
func restart(s *facts.Snapshot, template *corev1.PodTemplateSpec) {
	if template.Annotations == nil {
		template.Annotations = map[string]string{}
	}
	template.Annotations[restartedAt] = s.Taken.UTC().Format(time.RFC3339)
}

// object turns an API object of the snapshot into the form that changes have.
func object(kind, apiVersion string, obj metav1.Object) (*unstructured.Unstructured, error) {
	if facts.InPart(obj) {
		return nil, &InPartError{facts.Ref{Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}}
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, fmt.Errorf("converting %s: %w", kind, err)
	}
	u := &unstructured.Unstructured{Object: fields}
	u.SetKind(kind)
	u.SetAPIVersion(apiVersion)
	return u, nil
}

// podsOf returns the pods in which a finding shows.
func podsOf(s *facts.Snapshot, f checks.Finding) []*facts.Pod {
	var out []*facts.Pod
	for _, r := range append([]facts.Ref{f.Subject}, f.Places...) {
		if p := s.Pod(r.Namespace, r.Name); r.Kind == "Pod" && p != nil && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// crashing returns those pods of the finding's subject and places that crash. One in
// which the fault shows may run at this moment, between two crashes.
func crashing(s *facts.Snapshot, f checks.Finding) []*facts.Pod {
	var out []*facts.Pod
	for _, p := range s.Pods {
		shows := slices.Contains(f.Places, p.Ref()) || p.Ref() == f.Subject
		crashes := p.Crashing() != nil && (shows || p.Owner == f.Subject) || shows && crashedLast(p)
		if crashes && !p.Static && p.Owner.Kind != "" {
			out = append(out, p)
		}
	}
	return out
}

func crashedLast(p *facts.Pod) bool {
	return slices.ContainsFunc(p.Containers, func(c facts.Container) bool { return c.Last().Phase == facts.Terminated && c.Last().ExitCode != 0 })
}
