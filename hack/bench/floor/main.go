// Command floor reads once the lists that check reads and throws the bytes away: nothing
// that reads them can take less. It prints how many bytes there were.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// atOnce is how many lists are read at the same time.
const atOnce = 4

// lists are those of check, the largest first.
var lists = []string{
	"/api/v1/pods", "/apis/discovery.k8s.io/v1/endpointslices", "/api/v1/nodes", "/api/v1/events", "/api/v1/services",
	"/api/v1/namespaces", "/api/v1/serviceaccounts", "/apis/apps/v1/deployments", "/apis/apps/v1/daemonsets",
	"/apis/rbac.authorization.k8s.io/v1/clusterroles", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
	"/apis/networking.k8s.io/v1/networkpolicies",
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig `file`")
	gzip := flag.Bool("gzip", false, "let the API server compress its answers")
	flag.Parse()
	n, err := read(context.Background(), *kubeconfig, *gzip)
	if err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(2)
	}
	fmt.Println(n)
}

// read returns how many bytes all lists have, decompressed.
func read(ctx context.Context, kubeconfig string, gzip bool) (int64, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return 0, err
	}
	config.DisableCompression = !gzip
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return 0, err
	}
	var wg sync.WaitGroup
	var total atomic.Int64
	errs := make([]error, len(lists))
	room := make(chan struct{}, atOnce)
	for i, path := range lists {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			n, err := drain(ctx, client, config.Host+path+"?resourceVersion=0")
			total.Add(n)
			errs[i] = err
		})
	}
	wg.Wait()
	return total.Load(), errors.Join(errs...)
}

func drain(ctx context.Context, client *http.Client, url string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "application/vnd.kubernetes.protobuf")
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("GET %s: %s", url, res.Status)
	}
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		return n, fmt.Errorf("GET %s: %w", url, err)
	}
	return n, nil
}
