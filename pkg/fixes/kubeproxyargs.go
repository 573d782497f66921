package fixes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubeproxy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/yamlline"
)

// KubeProxyArgs gives kube-proxy the flags that kubeadm gives it.
var KubeProxyArgs = &Fix{
	ID:     "kubeproxy-args",
	Title:  "Correct the flags --hostname-override and --config of kube-proxy",
	For:    []*checks.Check{kubeproxy.Hostname, kubeproxy.ConfigInvalid},
	Risk:   Restarts,
	Settle: proxySettles,
	Plan:   planKubeProxyArgs,
	Doc: `Changes the command line in kube-proxy's DaemonSet, whose pods are then replaced one node after the other:

- **--hostname-override=$(NODE_NAME)**, with NODE_NAME as the field spec.nodeName, as kubeadm has it: each kube-proxy goes by the name of
  its own node. A name that stands in the configuration file for all nodes is taken out of the ConfigMap as well.
- **--config**: the path under which the pods find the configuration, if a mounted ConfigMap holds exactly one.

It is refused where a shell starts kube-proxy, where NODE_NAME is something else, and where no ConfigMap, or more than one key, holds a
configuration. It does not cure what stands in the file (kubeproxy-config does). kubeadm upgrade writes the same flags.
"kubectl netdoctor undo" puts the former command line back.`,
}

// nodeName is the variable that kubeadm gives kube-proxy.
const nodeName = "NODE_NAME"

func planKubeProxyArgs(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	sets := concerned(s, f)
	if len(sets) == 0 {
		return Plan{}, errors.New("no DaemonSet runs that kube-proxy; correct its flags where it is started")
	}
	var plan Plan
	for _, p := range sets {
		edited := p.Set.DeepCopy()
		c := &edited.Spec.Template.Spec.Containers[0]
		err := named(c)
		if f.Check == kubeproxy.ConfigInvalid {
			err = leads(p, c)
		}
		if err != nil {
			return Plan{}, fmt.Errorf("%s: %w", p.Ref(), err)
		}
		if err := plan.unnamed(s, f, p); err != nil {
			return Plan{}, err
		}
		if err := plan.template(p.Set, edited); err != nil {
			return Plan{}, err
		}
	}
	return plan, nil
}

// template adds the change of a DaemonSet's pod template, which the rollout carries out.
func (plan *Plan) template(before, after *appsv1.DaemonSet) error {
	if before.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		return fmt.Errorf("%s has the update strategy OnDelete, so that no rollout replaces its pods; make the change by hand and delete them one after the other", setRef(before))
	}
	change, err := changeOf("DaemonSet", "apps/v1", before, after)
	if err != nil {
		return err
	}
	plan.Changes, plan.Rollouts = append(plan.Changes, change), append(plan.Rollouts, setRef(before))
	return nil
}

// unnamed takes a name for all nodes out of the configuration that the finding is about.
func (plan *Plan) unnamed(s *facts.Snapshot, f checks.Finding, p kubeproxy.Proxy) error {
	known := slices.ContainsFunc(plan.Changes, func(c Change) bool { return c.Ref() == f.Subject })
	if f.Check != kubeproxy.Hostname || p.Config == nil || configMapRef(p.Config.ConfigMap) != f.Subject || known {
		return nil
	}
	text, err := yamlline.Drop(p.Config.Text, "hostnameOverride")
	cm, err := rewritten(p.Config, text, err)
	if err != nil {
		return err
	}
	change, err := changeOf("ConfigMap", "v1", s.ConfigMap(cm.Namespace, cm.Name), cm)
	plan.Changes = append(plan.Changes, change)
	return err
}

// named makes a kube-proxy go by the name of its node.
func named(c *corev1.Container) error {
	i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == nodeName })
	switch {
	case i < 0:
		from := &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "spec.nodeName"}}
		c.Env = append(slices.Clip(c.Env), corev1.EnvVar{Name: nodeName, ValueFrom: from})
	case c.Env[i].ValueFrom == nil || c.Env[i].ValueFrom.FieldRef == nil || c.Env[i].ValueFrom.FieldRef.FieldPath != "spec.nodeName":
		return fmt.Errorf("its variable %s is something else than the field spec.nodeName; correct that by hand", nodeName)
	}
	return setFlag(c, "hostname-override", "$("+nodeName+")")
}

// leads lets --config lead to the configuration that is mounted.
func leads(p kubeproxy.Proxy, c *corev1.Container) error {
	if p.Config != nil {
		return errors.New("--config leads to a configuration; what is wrong stands in that: repeat with --with kubeproxy-config")
	}
	paths := p.ConfigPaths()
	if len(paths) != 1 {
		return fmt.Errorf("its mounted ConfigMaps hold %d configurations of kube-proxy; name the right one in --config by hand", len(paths))
	}
	return setFlag(c, "config", paths[0])
}

// setFlag gives a flag a value, each time that it is given, or puts it behind the last
// argument.
func setFlag(c *corev1.Container, name, value string) error {
	given := false
	for _, list := range [][]string{c.Command, c.Args} {
		for i, arg := range list {
			switch {
			case strings.ContainsAny(arg, " \n"):
				return errors.New("a shell starts kube-proxy; correct its flags by hand")
			case arg == "--"+name && i+1 < len(list):
				given, list[i+1] = true, value
			case strings.HasPrefix(arg, "--"+name+"="):
				given, list[i] = true, "--"+name+"="+value
			}
		}
	}
	switch {
	case given:
	case len(c.Args) > 0:
		c.Args = append(slices.Clip(c.Args), "--"+name+"="+value)
	case len(c.Command) > 0:
		c.Command = append(slices.Clip(c.Command), "--"+name+"="+value)
	default:
		return errors.New("it has no command, so that its image starts kube-proxy; set the flag by hand")
	}
	return nil
}
