package plane

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/test/portforward"
)

// forward forwards ports of pods that were asked for names in the state.
func (s *scene) forward(w http.ResponseWriter, r *http.Request) {
	var all []facts.Answer
	if text := s.files["_probe/answers.json"]; json.Unmarshal(text, &all) != nil {
		panic(http.ErrAbortHandler)
	}
	all = slices.DeleteFunc(all, func(a facts.Answer) bool {
		return a.Namespace != r.PathValue("namespace") || a.Pod != r.PathValue("pod")
	})
	if len(all) == 0 {
		panic(http.ErrAbortHandler)
	}
	portforward.Serve(w, r, answering(all))
}

// answering is a DNS server that says what one said in a state.
func answering(all []facts.Answer) portforward.Server {
	return func(port string, conn io.ReadWriter) string {
		fails := ""
		portforward.DNS(func(q *dns.Msg) *dns.Msg {
			i := slices.IndexFunc(all, func(a facts.Answer) bool {
				return a.Name == q.Question[0].Name && a.Type == dns.TypeToString[q.Question[0].Qtype]
			})
			switch {
			case i < 0:
				return nil
			case strings.HasPrefix(all[i].Err, "nothing listens"):
				fails = portforward.Refuse(port, conn)
				return nil
			case all[i].Err != "":
				_, _ = io.Copy(io.Discard, conn) // until the client gives up
				return nil
			}
			return reply(q, all[i])
		})(port, conn)
		return fails
	}
}

func reply(q *dns.Msg, a facts.Answer) *dns.Msg {
	out := new(dns.Msg).SetRcode(q, dns.StringToRcode[a.Rcode])
	for _, value := range a.Records {
		if rr, err := dns.NewRR(a.Name + " 5 IN " + a.Type + " " + value); err == nil {
			out.Answer = append(out.Answer, rr)
		}
	}
	return out
}
