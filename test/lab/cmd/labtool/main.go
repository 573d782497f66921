// Command labtool is the other half of the lab's busybox image: a static
// busybox has no working wget and nc, and its nslookup ignores search domains.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const usage = `usage:
  labtool serve PORT TEXT        answer every HTTP request with TEXT and the caller's address
  labtool get URL [TIMEOUT]      print what URL answers; any certificate will do
  labtool dns NAME [TIMEOUT]     print the addresses of NAME as the pod's resolv.conf finds them`

// defaultTimeout is shorter than what kubectl exec users are willing to wait.
const defaultTimeout = 5 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 3 && args[0] == "serve" {
		return serve(args[1], args[2])
	}
	if len(args) != 2 && len(args) != 3 {
		return errors.New(usage)
	}
	timeout := defaultTimeout
	if len(args) == 3 {
		given, err := time.ParseDuration(args[2])
		if err != nil {
			return err
		}
		timeout = given
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	switch args[0] {
	case "get":
		return get(ctx, args[1])
	case "dns":
		return lookUp(ctx, args[1])
	}
	return errors.New(usage)
}

func serve(port, text string) error {
	return http.ListenAndServe(":"+port, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, text, r.RemoteAddr)
	}))
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

func lookUp(ctx context.Context, name string) error {
	addrs, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(addrs, " "))
	return nil
}
