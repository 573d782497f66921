package corefile_test

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
)

const text = `.:53 {
    errors # of other plugins
    kubernetes cluster.local in-addr.arpa ip6.arpa
    forward . /etc/resolv.conf {  # as the node
       max_concurrent 1000
    }
}
`

func Example() {
	file, err := corefile.Parse(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, block := range file.Blocks {
		fmt.Println("zones", block.Zones())
		for _, d := range block.Find("forward") {
			forward, _ := d.Forward()
			fmt.Println("line", d.Line, "forwards", forward.From, "to the", forward.To[0].Kind, forward.To[0].Path)
		}
	}
	// Output:
	// zones [.]
	// line 4 forwards . to the file /etc/resolv.conf
}

func ExampleParse() {
	_, err := corefile.Parse(".:53 {\n    cache 30 {\n        prefetch 1\n")
	fmt.Println(err)
	// Output:
	// Corefile:3 - Error during parsing: Unexpected EOF
}

func ExampleRewrite_Apply() {
	rewrite := corefile.Rewrite{To: []netip.AddrPort{
		netip.MustParseAddrPort("10.0.0.2:53"),
		netip.MustParseAddrPort("[2001:db8::2]:5353"),
	}}
	out, edits, err := rewrite.Apply(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(edits[0].Line, edits[0].Before, "->", edits[0].After)
	fmt.Print(out)
	// Output:
	// 4 /etc/resolv.conf -> 10.0.0.2 [2001:db8::2]:5353
	// .:53 {
	//     errors # of other plugins
	//     kubernetes cluster.local in-addr.arpa ip6.arpa
	//     forward . 10.0.0.2 [2001:db8::2]:5353 {  # as the node
	//        max_concurrent 1000
	//     }
	// }
}

func ExampleRefusal() {
	rewrite := corefile.Rewrite{To: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}}
	_, _, err := rewrite.Apply(text)
	if refusal, ok := errors.AsType[*corefile.Refusal](err); ok {
		fmt.Printf("%s: %v\n", refusal.Reason, refusal)
	}
	// Output:
	// upstream: upstream 127.0.0.1 is the pod itself: CoreDNS would ask itself again
}
