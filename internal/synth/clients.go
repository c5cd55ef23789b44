package synth

import "strings"

// client is an SSH client as a sensor sees it.
type client struct {
	banner, hassh      string
	kex, key, enc, mac []string
	comp               []string
}

var clients = []client{
	{
		banner: "SSH-2.0-Go", hassh: "9f0c2d7be1a85c34d6e07f1b2a93c845",
		kex:  words("curve25519-sha256@libssh.org ecdh-sha2-nistp256 ecdh-sha2-nistp384 diffie-hellman-group14-sha1"),
		key:  words("ssh-ed25519 ecdsa-sha2-nistp256 rsa-sha2-256 ssh-rsa"),
		enc:  words("aes128-gcm@openssh.com chacha20-poly1305@openssh.com aes128-ctr aes256-ctr"),
		mac:  words("hmac-sha2-256-etm@openssh.com hmac-sha2-256 hmac-sha1"),
		comp: words("none"),
	},
	{
		banner: "SSH-2.0-libssh_0.9.6", hassh: "41d8b07a5f2e93cc6018be74a29d5f03",
		kex:  words("curve25519-sha256 ecdh-sha2-nistp256 diffie-hellman-group18-sha512 diffie-hellman-group14-sha256"),
		key:  words("ssh-ed25519 ecdsa-sha2-nistp521 rsa-sha2-512"),
		enc:  words("aes256-gcm@openssh.com aes256-ctr aes192-ctr aes128-ctr"),
		mac:  words("hmac-sha2-512 hmac-sha2-256"),
		comp: words("none"),
	},
	{
		banner: "SSH-2.0-libssh2_1.8.0", hassh: "c3527ef90ab16d4882f5e0c9714b6da7",
		kex:  words("diffie-hellman-group-exchange-sha256 diffie-hellman-group14-sha1 diffie-hellman-group1-sha1"),
		key:  words("ssh-rsa ssh-dss"),
		enc:  words("aes256-ctr aes128-ctr aes256-cbc aes128-cbc arcfour128 3des-cbc"),
		mac:  words("hmac-sha2-256 hmac-sha1 hmac-md5"),
		comp: words("none"),
	},
	{
		banner: "SSH-2.0-PUTTY", hassh: "07e64ab9d31f58c2907cbae8651df430",
		kex:  words("diffie-hellman-group14-sha1 diffie-hellman-group-exchange-sha1 diffie-hellman-group1-sha1"),
		key:  words("ssh-rsa ssh-dss"),
		enc:  words("aes128-ctr aes256-ctr aes256-cbc blowfish-cbc arcfour 3des-cbc"),
		mac:  words("hmac-sha1 hmac-sha1-96 hmac-md5 hmac-ripemd160"),
		comp: words("none"),
	},
	{
		banner: "SSH-2.0-OpenSSH_9.6p1 Ubuntu-3", hassh: "e58a13c6470fd92b8c1be2057da94f36",
		kex:  words("sntrup761x25519-sha512@openssh.com curve25519-sha256 curve25519-sha256@libssh.org ecdh-sha2-nistp256 ecdh-sha2-nistp384 ecdh-sha2-nistp521 diffie-hellman-group-exchange-sha256 diffie-hellman-group16-sha512 diffie-hellman-group14-sha256 ext-info-c kex-strict-c-v00@openssh.com"),
		key:  words("ssh-ed25519-cert-v01@openssh.com ecdsa-sha2-nistp256-cert-v01@openssh.com rsa-sha2-512-cert-v01@openssh.com ssh-ed25519 ecdsa-sha2-nistp256 rsa-sha2-512 rsa-sha2-256"),
		enc:  words("chacha20-poly1305@openssh.com aes128-ctr aes192-ctr aes256-ctr aes128-gcm@openssh.com aes256-gcm@openssh.com"),
		mac:  words("umac-64-etm@openssh.com umac-128-etm@openssh.com hmac-sha2-256-etm@openssh.com hmac-sha2-512-etm@openssh.com hmac-sha1"),
		comp: words("none zlib@openssh.com zlib"),
	},
}

func words(s string) []string { return strings.Fields(s) }

// banners are what speaks to port 22 and is no SSH client.
var banners = []string{
	"GET / HTTP/1.1", "\x16\x03\x01\x00\xee\x01\x00\x00\xea\x03\x03", "\x03\x00\x00/*\xe0\x00\x00\x00\x00\x00Cookie: mstshash=Administr",
	"OPTIONS / RTSP/1.0", "SSH-2.0-check_ssh_2.3", "SSH-2.0-ZGrab-like scanner", "SSH-1.5-nmap-like", "",
}

// greeting is the lists of a client as JSON, in one version's spacing.
type greeting struct {
	*client
	algorithms          string // what the hassh is made of
	kexAlgs, keyAlgs    []byte
	encCS, macCS, compC []byte
}

func greetings(v *version) []greeting {
	list := func(names []string) []byte {
		return []byte(`["` + strings.Join(names, `"`+v.comma+`"`) + `"]`)
	}
	all := make([]greeting, len(clients))
	for i := range clients {
		c := &clients[i]
		all[i] = greeting{
			client:     c,
			algorithms: strings.Join([]string{strings.Join(c.kex, ","), strings.Join(c.enc, ","), strings.Join(c.mac, ","), strings.Join(c.comp, ",")}, ";"),
			kexAlgs:    list(c.kex), keyAlgs: list(c.key), encCS: list(c.enc), macCS: list(c.mac), compC: list(c.comp),
		}
	}
	return all
}
