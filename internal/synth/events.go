package synth

import "strconv"

// Each function here writes one event of a visit, at the visit's time, as the
// era's Cowrie does.

func (v *visit) connect() {
	v.begin("cowrie.session.connect", factory)
	message := []string{"New connection: ", v.ip, ":", strconv.Itoa(v.port), " (", v.address, ":", v.listens(), ") [session: ", v.id, "]"}
	if v.era == Era2026 { // all it says is in the head
		v.end(other, message...)
		return
	}
	if v.era != Era2018 {
		v.word("src_ip", v.ip)
	}
	v.integer("src_port", v.port)
	v.word("dst_ip", v.address)
	v.raw("dst_port", v.listens())
	if v.era == Era2018 {
		v.word("protocol", v.protocol())
		v.end(other, message...)
		return
	}
	// The session stands among the fields, and so is not repeated at the end.
	v.word("session", v.id)
	v.word("protocol", v.protocol())
	v.texts("message", message)
	v.buf = append(v.buf, v.signature...)
	v.stamp()
	v.endLine(other, 0)
}

// lasted writes a duration and returns the message's words for it.
func (v *visit) lasted(since int64) (amount, unit string) {
	d := v.at - since
	switch {
	case v.era == Era2026:
		v.integer("duration_ms", int(d/1000))
		return strconv.FormatInt(d/1000, 10), " milliseconds"
	case v.era == Era2025 && !v.telnet:
		amount = strconv.FormatInt(d/second, 10) + "." + strconv.FormatInt(d%second/100_000, 10)
		v.word("duration", amount)
		return amount, " seconds"
	default:
		v.member("duration")
		v.buf = strconv.AppendFloat(v.buf, float64(d)/float64(second)+0.00000190734863, 'f', -1, 64)
		return strconv.FormatInt(d/second, 10), " seconds"
	}
}

func (v *visit) close() {
	v.begin("cowrie.session.closed", transport)
	amount, unit := v.lasted(v.began)
	v.end(other, "Connection lost after ", amount, unit)
	v.gone = true
}

func (v *visit) version(banner string) {
	v.begin("cowrie.client.version", transport)
	v.text("version", banner)
	v.end(other, "Remote SSH version: ", banner)
}

func (v *visit) kex(c client) {
	v.begin("cowrie.client.kex", transport)
	v.buf = append(v.buf, c.members...)
	v.end(other, "SSH client hassh fingerprint: ", c.hassh)
}

// malformed is of 3.0 and later.
func (v *visit) malformed(number, size int) {
	v.begin("cowrie.client.malformed_packet", transport)
	v.integer("messagenum", number)
	v.integer("datalen", size)
	v.member("data")
	v.buf = append(v.buf, '"')
	for range size {
		c := v.rng.IntN(256)
		v.buf = append(v.buf, hexDigits[c>>4], hexDigits[c&15])
	}
	v.buf = append(v.buf, '"')
	v.end(other, "Malformed SSH packet (message ", strconv.Itoa(number), ", ", strconv.Itoa(size), " bytes); disconnecting")
}

func (v *visit) login(success bool, user, password string) {
	id, result := "cowrie.login.failed", "] failed"
	if success {
		id, result = "cowrie.login.success", "] succeeded"
	}
	v.begin(id, userauth)
	v.text("username", user)
	v.text("password", password)
	v.end(login, "login attempt [", user, "/", password, result)
}

func (v *visit) params(arch string) {
	v.begin("cowrie.session.params", channel)
	v.word("arch", arch)
	if v.era == Era2026 {
		v.endRaw(other, `""`)
	} else {
		v.endRaw(other, `[]`)
	}
}

func (v *visit) size(width, height int) {
	v.begin("cowrie.client.size", channel)
	v.integer("width", width)
	v.integer("height", height)
	v.end(other, "Terminal Size: ", strconv.Itoa(width), " ", strconv.Itoa(height))
}

func (v *visit) variable(name, value string) {
	v.begin("cowrie.client.var", channel)
	v.word("name", name)
	v.text("value", value)
	v.end(other, "request_env: ", name, "=", value)
}

func (v *visit) command(input string) {
	v.begin("cowrie.command.input", channel)
	v.text("input", input)
	v.end(command, "CMD: ", input)
}

func (v *visit) commandFailed(input string) {
	v.begin("cowrie.command.failed", channel)
	v.text("input", input)
	v.end(other, "Command not found: ", input)
}

func (v *visit) commandFound(input string) {
	v.begin("cowrie.command.success", channel)
	v.text("input", input)
	v.end(other, "Command found: ", input)
}

// ttyLog returns the path of the recording of what was typed.
func (v *visit) ttyLog(sha string) string {
	if v.era != Era2018 {
		return "var/lib/cowrie/tty/" + sha
	}
	who := v.id
	if v.telnet {
		who = "None"
	}
	return "log/tty/" + fileTime(v.began) + "-" + who + "-0i.log"
}

// logOpen is of 1.4 and before.
func (v *visit) logOpen() {
	tty := v.ttyLog("")
	v.begin("cowrie.log.open", channel)
	v.word("ttylog", tty)
	v.end(other, "Opening TTY Log: ", tty)
}

// logClosed has a shasum, of what was typed: the hash of no file.
func (v *visit) logClosed(sha string, size int, since int64) {
	tty := v.ttyLog(sha)
	v.begin("cowrie.log.closed", channel)
	v.word("ttylog", tty)
	v.integer("size", size)
	if v.era != Era2018 {
		v.word("shasum", sha)
		v.truth("duplicate", size%3 != 0)
	}
	amount, unit := v.lasted(since)
	v.end(other, "Closing TTY Log: ", tty, " after ", amount, unit)
}

func (v *visit) forwardRequest(host string, port, from int) {
	v.beginForward("cowrie.direct-tcpip.request", connection, host, port)
	switch v.era {
	case Era2026:
		v.word("orig_ip", "127.0.0.1")
		v.integer("orig_port", from)
	case Era2018:
		v.integer("src_port", from)
	default:
		v.word("src_ip", v.ip)
		v.integer("src_port", from)
		v.ownSrc = true
	}
	v.end(other, "direct-tcp connection request to ", host, ":", strconv.Itoa(port), " from 127.0.0.1:", strconv.Itoa(from))
}

// forwardData carries bytes as their repr, which Python 3 begins with b.
func (v *visit) forwardData(host string, port, id int, data string) {
	v.beginForward("cowrie.direct-tcpip.data", channel, host, port)
	if v.era == Era2018 {
		v.text("data", data)
		v.end(other, "discarded direct-tcp forward request to ", host, ":", strconv.Itoa(port), " with data ", data)
		return
	}
	data = "b" + data
	v.text("data", data)
	if v.era < Era2025 {
		v.integer("id", id)
		v.end(other, "discarded direct-tcp forward request ", strconv.Itoa(id), " to ", host, ":", strconv.Itoa(port), " with data ", data)
		return
	}
	v.integer("id", id)
	v.end(other, "discarded direct-tcp forward request ", strconv.Itoa(id), " to ", host, ":", strconv.Itoa(port))
}

// forwardJA4 is of 2.9 and later.
func (v *visit) forwardJA4(host string, port int, ja4 string) {
	v.beginForward("cowrie.direct-tcpip.ja4", channel, host, port)
	v.word("ja4", ja4)
	v.end(other, "JA4 fingerprint for forwarded TLS to ", host, ":", strconv.Itoa(port), ": ", ja4)
}
