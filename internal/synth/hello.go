package synth

import (
	"fmt"
	"strings"
)

// request returns what a client sends through a forwarded port, as Python's
// repr of the bytes: most of it is the beginning of a TLS session.
func (v *visit) request(port int) string {
	if port != 443 || v.rng.IntN(6) == 0 {
		return requests[v.rng.IntN(len(requests))]
	}
	var b strings.Builder
	b.WriteString(`'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03`)
	v.random(&b, 32) // the client's random
	b.WriteString(` `)
	v.random(&b, 32) // its session id
	b.WriteString(helloRest)
	v.random(&b, 32) // its key share
	b.WriteString(strings.Repeat(`\x00`, 60+v.rng.IntN(60)))
	b.WriteByte('\'')
	return b.String()
}

// random writes the repr of random bytes.
func (v *visit) random(b *strings.Builder, n int) {
	for range n {
		c := byte(v.rng.IntN(256))
		if c > ' ' && c < 0x7f && c != '\'' && c != '\\' && c != '"' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(b, `\x%02x`, c)
		}
	}
}

// helloRest is what hardly differs from one ClientHello to the next: the
// suites and most of the extensions, of made-up values.
const helloRest = `\x00>\x13\x02\x13\x03\x13\x01\xc0,\xc00\x00\x9f\xcc\xa9\xcc\xa8\xcc\xaa\xc0+\xc0/\x00\x9e` +
	`\xc0$\xc0(\x00k\xc0#\xc0\'\x00g\xc0\n\xc0\x14\x009\xc0\t\xc0\x13\x003\x00\x9d\x00\x9c\x00=\x00<\x005\x00/` +
	`\x00\xff\x01\x00\x01u\x00\x00\x00\x16\x00\x14\x00\x00\x11www.shop.example\x00\x0b\x00\x04\x03\x00\x01\x02` +
	`\x00\n\x00\x16\x00\x14\x00\x1d\x00\x17\x00\x1e\x00\x19\x00\x18\x01\x00\x01\x01\x01\x02\x01\x03\x01\x04\x00#\x00\x00` +
	`\x00\x10\x00\x0e\x00\x0c\x02h2\x08http/1.1\x00\x16\x00\x00\x00\x17\x00\x00\x00\r\x00*\x00(\x04\x03\x05\x03\x06\x03` +
	`\x08\x07\x08\x08\x08\t\x08\n\x08\x0b\x08\x04\x08\x05\x08\x06\x04\x01\x05\x01\x06\x01\x03\x03\x03\x01\x003\x00&\x00$\x00\x1d\x00 `
