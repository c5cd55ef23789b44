package synth

import "strconv"

// visit is one session: who came, and the lines it leaves, each with its time.
// A visit is used again for another session once its last line is written.
type visit struct {
	*sensor
	style style

	id     string
	ip     string
	port   int
	telnet bool
	serial int64 // of the connection, in the first versions' system

	head []byte // what every line begins with, in Era2026
	cut  int    // length of the part of head before dst_ip
	tail []byte // what every line ends with, before Era2026

	began, at int64 // when it connected; the time of the next line
	gone      bool  // it has been closed

	buf   []byte // the lines, one after another
	marks []mark // the lines' ends
	next  int    // the mark to be written next

	// The line at work.
	eventid string
	system  system
	ownSrc  bool // the event has a src_ip of its own among its fields
}

// mark is one line of a visit.
type mark struct {
	at   int64
	end  int32
	file int32 // for a sighting, the file's index
	what what
}

// what is what a line counts as.
type what uint8

const (
	other what = iota
	download
	upload
	failedTransfer
	command
	login
)

// system is the part of Cowrie that speaks, named on events of Era2018.
type system uint8

const (
	nobody system = iota // the event has neither system nor isError
	factory
	transport
	userauth
	connection
	channel
)

// meet starts a session. The slices keep their memory.
func (v *visit) meet(id, ip string, port int, telnet bool, start int64) {
	v.id, v.ip, v.port, v.telnet = id, ip, port, telnet
	v.began, v.at, v.gone = start, start, false
	v.buf, v.marks, v.next = v.buf[:0], v.marks[:0], 0
	v.serial = v.visits

	b, st := v.head[:0], v.style
	add := func(name, value string) {
		b = append(append(append(b, st.comma...), name...), st.colon...)
		b = append(append(append(b, '"'), value...), '"')
	}
	if v.era == Era2026 {
		add("session", id)
		add("protocol", v.protocol())
		add("src_ip", ip)
		b = append(append(b, `,"src_port":`...), strconv.Itoa(port)...)
		v.cut = len(b)
		add("dst_ip", v.address)
		b = append(append(b, `,"dst_port":`...), v.listens()...)
		b[0] = '{'
		v.head = b
		return
	}
	v.head = b
	b = v.tail[:0]
	add("src_ip", ip)
	v.cut = len(b)
	add("session", id)
	if v.era == Era2018 {
		add("sensor", v.name)
	}
	if v.era == Era2025 {
		add("protocol", v.protocol())
	}
	v.tail = b
}

func (v *visit) protocol() string {
	if v.telnet {
		return "telnet"
	}
	return "ssh"
}

func (v *visit) listens() string {
	if v.telnet {
		return "2223"
	}
	return "2222"
}

// begin begins a line.
func (v *visit) begin(eventid string, from system) {
	v.eventid, v.system, v.ownSrc = eventid, from, false
	switch v.era {
	case Era2026:
		v.buf = append(v.buf, v.head...)
	case Era2018:
		v.buf = append(v.buf, `{"eventid": "`...)
		v.buf = append(v.buf, eventid...)
		v.buf = append(v.buf, `", "timestamp": "`...)
		v.buf = v.clock.append(v.buf, v.at, true)
		v.buf = append(v.buf, '"')
	default:
		v.buf = append(v.buf, `{"eventid":"`...)
		v.buf = append(v.buf, eventid...)
		v.buf = append(v.buf, '"')
	}
}

// beginForward begins a line whose dst_ip and dst_port are what the attacker
// asked for, not where Cowrie listens.
func (v *visit) beginForward(eventid string, from system, host string, port int) {
	v.begin(eventid, from)
	if v.era == Era2026 {
		v.buf = v.buf[:len(v.buf)-len(v.head)+v.cut]
	}
	v.word("dst_ip", host)
	v.integer("dst_port", port)
}

// end ends a line with a message made of the parts; none, and it has no
// message.
func (v *visit) end(w what, parts ...string) { v.finish(w, 0, "", parts) }

// endRaw ends a line with a message that is JSON already.
func (v *visit) endRaw(w what, message string) { v.finish(w, 0, message, nil) }

func (v *visit) finish(w what, file int, message string, parts []string) {
	if v.era == Era2026 {
		v.word("eventid", v.eventid)
		if v.gone {
			v.raw("late", "true")
		}
		v.buf = append(v.buf, v.signature...)
		v.stamp()
		v.message(message, parts)
		v.endLine(w, file)
		return
	}
	v.message(message, parts)
	if v.era == Era2018 {
		v.speaker()
	} else {
		v.buf = append(v.buf, v.signature...)
		v.stamp()
	}
	if v.ownSrc {
		v.buf = append(v.buf, v.tail[v.cut:]...)
	} else {
		v.buf = append(v.buf, v.tail...)
	}
	v.endLine(w, file)
}

// endLine ends the line, and lets a microsecond pass.
func (v *visit) endLine(w what, file int) {
	v.buf = append(v.buf, '}', '\n')
	v.marks = append(v.marks, mark{at: v.at, end: int32(len(v.buf)), file: int32(file), what: w})
	v.at++
}

func (v *visit) stamp() {
	v.member("timestamp")
	v.buf = append(v.buf, '"')
	v.buf = v.clock.append(v.buf, v.at, false)
	v.buf = append(v.buf, '"')
}

func (v *visit) message(raw string, parts []string) {
	switch {
	case raw != "":
		v.raw("message", raw)
	case len(parts) > 0:
		v.texts("message", parts)
	}
}

// speaker appends system and isError.
func (v *visit) speaker() {
	if v.system == nobody {
		return
	}
	v.member("system")
	b := append(v.buf, '"')
	switch v.system {
	case factory:
		if v.telnet {
			b = append(b, `cowrie.telnet.transport.HoneyPotTelnetFactory`...)
		} else {
			b = append(b, `cowrie.ssh.factory.CowrieSSHFactory`...)
		}
	case userauth:
		if !v.telnet {
			b = append(b, `SSHService 'ssh-userauth' on `...)
		}
	case connection:
		b = append(b, `SSHService 'ssh-connection' on `...)
	case channel:
		if !v.telnet {
			b = append(b, `SSHChannel session (0) on SSHService 'ssh-connection' on `...)
		}
	}
	if v.system != factory {
		if v.telnet {
			b = append(b, `CowrieTelnetTransport,`...)
		} else {
			b = append(b, `HoneyPotSSHTransport,`...)
		}
		b = strconv.AppendInt(b, v.serial, 10)
		b = append(b, ',')
		b = append(b, v.ip...)
	}
	v.buf = append(b, `", "isError": 0`...)
}

// wait lets time pass before the next line: between least and most
// microseconds, but a visit that has lasted long enough hurries.
func (v *visit) wait(least, most int64) {
	d := least + v.rng.Int64N(most-least)
	if v.at-v.began+d > v.patience {
		d = 1 + v.rng.Int64N(1000)
	}
	v.at += d
}
