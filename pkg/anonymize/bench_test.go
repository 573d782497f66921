package anonymize

import (
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// The pods of a large cluster are a gigabyte of JSON, of which a line is held at a time.
func BenchmarkBundle(b *testing.B) {
	const pods = 2000
	var list strings.Builder
	for i := range pods {
		fmt.Fprintf(&list, `{"kind":"Pod","metadata":{"name":"shop-%[1]d-x7c9d%[1]d","namespace":"team-%[2]d","uid":"3f2504e0-4f89-11d3-9a0c-%012[1]x","labels":{"app":"shop"}},"spec":{"nodeName":"acme%[2]d","containers":[{"name":"cart","image":"registry.acme.example/shop/cart:v1.2","env":[{"name":"DATABASE_HOST"}]}],"tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute"}]},"status":{"podIP":"10.%[3]d.%[2]d.%[4]d","hostIP":"192.168.0.%[4]d","phase":"Running"}}`+"\n", i, i%200, i/200, i%256)
	}
	entry := facts.Entry{Name: "shop/pods.json", Size: int64(list.Len()), Open: func() (io.Reader, error) { return strings.NewReader(list.String()), nil }}
	b.SetBytes(int64(list.Len()))
	b.ReportAllocs()
	for b.Loop() {
		a, err := New(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		if err := a.Bundle([]facts.Entry{entry}, func(_ string, _ int64, body io.Reader) error { _, err := io.Copy(io.Discard, body); return err }); err != nil {
			b.Fatal(err)
		}
	}
}
