package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/faults"
)

// probeNamespace holds a pod on each node that tries what pods need.
const probeNamespace = "netdoctor-e2e"

const probeManifest = `
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE, labels: {LABEL: probe}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: probe, namespace: NAMESPACE}
spec:
  selector: {matchLabels: {app: probe}}
  template:
    metadata: {labels: {app: probe}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: probe
        image: IMAGE
        imagePullPolicy: IfNotPresent
        command: [sh, -c, SERVE]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: NAMESPACE}
spec:
  selector: {app: probe}
  ports: [{name: http, port: 80, targetPort: http}]
`

// deployProbes makes the pods.
func deployProbes(ctx context.Context, lab testLab) error {
	serve, err := json.Marshal(faults.Serve)
	if err != nil {
		return err
	}
	manifest := strings.NewReplacer("NAMESPACE", probeNamespace, "LABEL", faults.AppLabel, "IMAGE", faults.Image(lab),
		"SERVE", string(serve)).Replace(probeManifest)
	_, err = lab.Kubectl(ctx, manifest, "apply", "-f", "-")
	return err
}

// probeScript resolves the names that are its first two arguments and gets the
// URLs that are the rest.
const probeScript = `
if command -v labtool >/dev/null; then dns="labtool dns"; get="labtool get"; else dns=nslookup; get="wget -qO- -T 4"; fi
for name in "$1" "$2"; do $dns "$name" || { echo "does not resolve $name"; exit 1; }; done
shift 2
for url; do $get "$url" || { echo "does not reach $url"; exit 1; }; done
`

// probe tries from a pod on each node what pods need: names inside and outside
// the cluster, a Service by its name, and the pods of every other node.
func probe(ctx context.Context, lab testLab) error {
	pods, err := probePods(ctx, lab)
	if err != nil {
		return err
	}
	outside := faults.Outside(lab)
	if strings.HasSuffix(outside, ".test") {
		outside = fmt.Sprintf("n%d.%s", time.Now().UnixNano(), outside) // nobody has cached this one
	}
	args := []string{"kubernetes.default", outside, "http://echo/"}
	for _, p := range pods {
		args = append(args, "http://"+p.ip+":8080/")
	}
	errs := make([]error, len(pods))
	var all sync.WaitGroup
	for i, p := range pods {
		all.Go(func() {
			command := append([]string{"-n", probeNamespace, "exec", p.name, "--", "sh", "-c", probeScript, "sh"}, args...)
			if _, err := lab.Kubectl(ctx, "", command...); err != nil {
				errs[i] = fmt.Errorf("the pod on node %s: %w", p.node, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

type probePod struct{ name, node, ip string }

// probePods returns the pods once there is one on each node.
func probePods(ctx context.Context, lab testLab) ([]probePod, error) {
	out, err := lab.Kubectl(ctx, "", "-n", probeNamespace, "get", "pods", "-l", "app=probe", "-o",
		`jsonpath={range .items[?(@.status.phase=="Running")]}{.metadata.name} {.spec.nodeName} {.status.podIP}{"\n"}{end}`)
	if err != nil {
		return nil, err
	}
	var pods []probePod
	for line := range strings.Lines(out) {
		if words := strings.Fields(line); len(words) == 3 {
			pods = append(pods, probePod{words[0], words[1], words[2]})
		}
	}
	if len(pods) != len(lab.Nodes()) {
		return nil, fmt.Errorf("%d pods of the probe run on %d nodes", len(pods), len(lab.Nodes()))
	}
	return pods, nil
}
