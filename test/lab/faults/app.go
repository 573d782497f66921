package faults

import (
	"context"
	"fmt"
	"strings"
)

// shop is the namespace of the faults' applications. AppLabel marks it, and
// every other namespace that a fault makes.
const (
	shop     = "shop"
	AppLabel = "netdoctor-lab"
)

// labImage is the image of applications in a lab.
const labImage = "docker.io/library/busybox:lab"

// foreign is a Lab whose nodes do not have the lab's own image, and whose world
// outside is another.
type foreign interface {
	Image() string
	Outside() string
}

// Image returns the image that applications run in a cluster: a busybox.
func Image(lab Lab) string {
	if f, ok := lab.(foreign); ok {
		return f.Image()
	}
	return labImage
}

// Outside returns a name outside the cluster that resolves while DNS works.
func Outside(lab Lab) string {
	if f, ok := lab.(foreign); ok {
		return f.Outside()
	}
	return "example.test"
}

// Serve, Fetch and Resolve are scripts for a busybox, the lab's own or any
// other. Serve listens on port 8080; Fetch gets the URL, and Resolve resolves
// the name, that is $0.
const (
	Serve   = `if command -v labtool >/dev/null; then exec labtool serve 8080 ok; fi; echo ok > /tmp/index.html; exec httpd -f -p 8080 -h /tmp`
	Fetch   = `if command -v labtool >/dev/null; then exec labtool get "$0"; fi; exec wget -qO- -T 4 --no-check-certificate "$0"`
	Resolve = `if command -v labtool >/dev/null; then exec labtool dns "$0"; fi; exec nslookup "$0"`
)

// app is an application with one pod and a Service of its own name.
type app struct {
	name string
	on   func(Lab) string // its node
}

func (a app) manifest(lab Lab) string {
	return strings.NewReplacer("NAMESPACE", shop, "LABEL", AppLabel, "NAME", a.name, "NODE", a.on(lab),
		"IMAGE", Image(lab), "SERVE", fmt.Sprintf("%q", Serve)).Replace(`
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE, labels: {LABEL: app}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: NAMESPACE}
spec:
  replicas: 1
  strategy: {type: Recreate}
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      nodeSelector: {kubernetes.io/hostname: NODE}
      terminationGracePeriodSeconds: 1
      containers:
      - name: NAME
        image: IMAGE
        imagePullPolicy: IfNotPresent
        command: [sh, -c, SERVE]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: NAMESPACE}
spec:
  type: ClusterIP
  selector: {app: NAME}
  ports: [{name: http, port: 80, targetPort: http}]
`)
}

// prepare makes the application, or brings it back to how it was made.
func (a app) prepare(ctx context.Context, lab Lab) error {
	_, err := lab.Kubectl(ctx, a.manifest(lab), "apply", "-f", "-")
	return err
}

// ready waits until the application serves.
func (a app) ready(ctx context.Context, lab Lab) error {
	return until(ctx, func() error { return endpoints(ctx, lab, shop, a.name, true) })
}

func (a app) service() []string { return []string{"-n", shop, "service", a.name} }

func (a app) selector() string { return "app=" + a.name }

// pause takes the application's pod away, for as long as it takes to break what
// the next one needs: without a working network the old one could not go.
func (a app) pause(ctx context.Context, lab Lab) error {
	if err := a.scale(ctx, lab, "0"); err != nil {
		return err
	}
	return recreate(ctx, lab, shop, a.selector())
}

// resume asks for a pod again.
func (a app) resume(ctx context.Context, lab Lab) error { return a.scale(ctx, lab, "1") }

func (a app) scale(ctx context.Context, lab Lab, replicas string) error {
	return do(ctx, lab, "-n", shop, "scale", "deployment", a.name, "--replicas="+replicas)
}

// recreate makes the application's pod anew, which is sooner there than one
// that waits to be tried again.
func (a app) recreate(ctx context.Context, lab Lab) error {
	return recreate(ctx, lab, shop, a.selector())
}

// stuck is nil once the application's pod does not come up, with an event that
// says why.
func (a app) stuck(event string) func(context.Context, Lab) error {
	return func(ctx context.Context, lab Lab) error {
		if err := endpoints(ctx, lab, shop, a.name, false); err != nil {
			return err
		}
		return podEvent(ctx, lab, shop, a.selector(), event)
	}
}

// fetch gets a URL from inside the application's pod.
func (a app) fetch(ctx context.Context, lab Lab, url string) error {
	return do(ctx, lab, "-n", shop, "exec", "deploy/"+a.name, "--", "sh", "-c", Fetch, url)
}

// unreachable is nil once the client does not reach the application's Service.
func (a app) unreachable(ctx context.Context, lab Lab) error {
	url, err := a.address(ctx, lab)
	if err != nil {
		return err
	}
	if client().fetch(ctx, lab, url) == nil {
		return errStillWorks
	}
	return nil
}

// resolve resolves a name inside the application's pod.
func (a app) resolve(ctx context.Context, lab Lab, name string) error {
	return do(ctx, lab, "-n", shop, "exec", "deploy/"+a.name, "--", "sh", "-c", Resolve, name)
}

// address returns the URL of the application's Service.
func (a app) address(ctx context.Context, lab Lab) (string, error) {
	ip, err := read(ctx, lab, "{.spec.clusterIP}", "-n", shop, "service", a.name)
	return "http://" + ip + "/", err
}

// The two ends of faults between nodes: a client on the node that faults break,
// and a server on another.
func client() app { return app{"frontend", last} }
func server() app { return app{"catalog", first} }

// preparePair makes both.
func preparePair(ctx context.Context, lab Lab) error {
	return all(ctx, lab, client().prepare, server().prepare, client().ready, server().ready)
}

// pairApart is nil once the client does not reach the server's Service.
func pairApart(ctx context.Context, lab Lab) error { return server().unreachable(ctx, lab) }
