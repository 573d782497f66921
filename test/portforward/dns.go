package portforward

import (
	"encoding/binary"
	"io"

	"github.com/miekg/dns"
)

// DNS answers questions over TCP, one after the other; where there is no reply it closes
// the connection.
func DNS(reply func(*dns.Msg) *dns.Msg) Server {
	return Raw(func(query []byte) []byte {
		var q dns.Msg
		if err := q.Unpack(query); err != nil {
			return nil
		}
		r := reply(&q)
		if r == nil {
			return nil
		}
		out, err := r.Pack()
		if err != nil {
			return nil
		}
		return Framed(out)
	})
}

// Raw answers questions with whatever bytes; nil closes the connection.
func Raw(reply func(query []byte) []byte) Server {
	return func(_ string, conn io.ReadWriter) string {
		for {
			var size [2]byte
			if _, err := io.ReadFull(conn, size[:]); err != nil {
				return ""
			}
			query := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(conn, query); err != nil {
				return ""
			}
			answer := reply(query)
			if answer == nil {
				return ""
			}
			if _, err := conn.Write(answer); err != nil {
				return ""
			}
		}
	}
}

// Framed puts the length in front of a message, as DNS over TCP does.
func Framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
}
