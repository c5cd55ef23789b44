package synth

import (
	"crypto/md5"
	"encoding/hex"
	"strings"
)

// client is what a kind of SSH client offers in the key exchange, ready to be
// put into a line.
type client struct {
	hassh   string
	members string // hassh, hasshAlgorithms and the lists
}

// offer is the algorithms of a client: of key exchange, host keys, ciphers,
// macs and compression.
type offer [5][]string

var offers = []offer{
	{
		{"curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521", "diffie-hellman-group14-sha256", "diffie-hellman-group14-sha1", "ext-info-c"},
		{"rsa-sha2-512", "rsa-sha2-256", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-ed25519"},
		{"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr"},
		{"hmac-sha2-256-etm@openssh.com", "hmac-sha2-256", "hmac-sha1", "hmac-sha1-96"},
		{"none"},
	},
	{
		{"curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1"},
		{"ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", "ssh-dss"},
		{"aes256-ctr", "aes192-ctr", "aes128-ctr", "aes256-cbc", "3des-cbc"},
		{"hmac-sha2-256", "hmac-sha2-512", "hmac-sha1"},
		{"none"},
	},
	{
		{"diffie-hellman-group-exchange-sha256", "diffie-hellman-group14-sha256", "diffie-hellman-group14-sha1"},
		{"ssh-rsa", "ssh-dss"},
		{"aes128-cbc", "3des-cbc", "blowfish-cbc", "aes192-cbc", "aes256-cbc"},
		{"hmac-md5", "hmac-sha1", "hmac-ripemd160"},
		{"none", "zlib"},
	},
}

// clientsIn returns the clients, their lists written in a style.
func clientsIn(st style) []client {
	var cs []client
	for _, o := range offers {
		list := func(i int) string { return strings.Join(o[i], ",") }
		algorithms := list(0) + ";" + list(2) + ";" + list(3) + ";" + list(4)
		sum := md5.Sum([]byte(algorithms)) // what a hassh is defined as
		c := client{hassh: hex.EncodeToString(sum[:])}
		v := visit{style: st}
		v.word("hassh", c.hassh)
		v.word("hasshAlgorithms", algorithms)
		v.buf = append(v.buf, o.lists(st)...)
		c.members = string(v.buf)
		cs = append(cs, c)
	}
	return cs
}

// lists returns the members with the lists alone.
func (o offer) lists(st style) string {
	v := visit{style: st}
	for i, name := range []string{"kexAlgs", "keyAlgs", "encCS", "macCS", "compCS"} {
		v.member(name)
		v.buf = appendList(v.buf, st, o[i])
	}
	v.member("langCS")
	v.buf = appendList(v.buf, st, []string{""})
	return string(v.buf)
}
