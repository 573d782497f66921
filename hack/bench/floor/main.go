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

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// atOnce is how many lists are read at the same time.
const atOnce = 4

// lists returns the paths of all lists that check may read. ConfigMaps it reads by name.
func lists() []string {
	var out []string
	for _, src := range facts.Sources() {
		if !src.Object() || src == facts.ConfigMaps || src.Addon {
			continue // of what a cluster may not have, this one has none
		}
		prefix := "/api/"
		if src.Group != "" {
			prefix = "/apis/" + src.Group + "/"
		}
		out = append(out, prefix+src.Version+"/"+src.Name)
	}
	return out
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
	lists := lists()
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
