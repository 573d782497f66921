package faults

import (
	"context"
	"fmt"

	"sigs.k8s.io/yaml"
)

const proxyPods = "k8s-app=kube-proxy"

func proxySet() []string    { return []string{"-n", system, "daemonset", "kube-proxy"} }
func proxyConfig() []string { return []string{"-n", system, "configmap", "kube-proxy"} }

// The keys of kube-proxy's ConfigMap.
const (
	proxyConfigKey = "config.conf"
	kubeconfigKey  = "kubeconfig.conf"
)

// editProxy changes one file of kube-proxy's ConfigMap and makes its pods anew.
func editProxy(ctx context.Context, lab Lab, id, key string, edit func(string) (string, error)) error {
	if err := keep(ctx, lab, id, proxyConfig()); err != nil {
		return err
	}
	cm, err := get(ctx, lab, proxyConfig()...)
	if err != nil {
		return err
	}
	data, _ := cm["data"].(object)
	text, _ := data[key].(string)
	edited, err := edit(text)
	if err != nil {
		return err
	}
	if edited == text {
		return fmt.Errorf("there is nothing to edit in key %s of kube-proxy's ConfigMap:\n%s", key, text)
	}
	if err := patch(ctx, lab, object{"data": object{key: edited}}, proxyConfig()...); err != nil {
		return err
	}
	return restartProxy(ctx, lab)
}

// setProxy edits one field of kube-proxy's configuration.
func setProxy(field string, value any) func(string) (string, error) {
	return func(text string) (string, error) {
		config := object{}
		if err := yaml.Unmarshal([]byte(text), &config); err != nil {
			return "", err
		}
		config[field] = value
		out, err := yaml.Marshal(config)
		return string(out), err
	}
}

func restartProxy(ctx context.Context, lab Lab) error { return recreate(ctx, lab, system, proxyPods) }

// mendProxy brings back what was kept and makes the pods anew.
func mendProxy(id string) func(context.Context, Lab) error {
	return func(ctx context.Context, lab Lab) error {
		if err := restore(ctx, lab, id); err != nil {
			return err
		}
		return restartProxy(ctx, lab)
	}
}
