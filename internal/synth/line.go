package synth

import (
	"strconv"
	"unicode/utf8"
)

// slot is a place in the order of an event's keys.
type slot uint8

const (
	slotEventid slot = iota
	slotLead         // session, protocol, addresses and ports
	slotFields       // the event's own
	slotMessage
	slotSystem // system and isError
	slotLate
	slotSensor
	slotUUID
	slotTimestamp
	slotSrcIP
	slotSession
	slotProtocol
)

// event is one event being put together. Its own fields and its message are
// collected apart, as versions differ in the order of keys.
type event struct {
	ver *version
	id  string

	fields  []byte // `"key":value,` each
	message []byte // text, escaped, without quotes
	// said: there is a message; list: it is [], as some versions write for an empty one.
	said, list bool
	// own: the fields hold src_ip already; whole: session and protocol too.
	own, whole bool
	late       bool
	// dstIP and dstPort stand in the lead instead of the sensor's, if set.
	dstIP   string
	dstPort int
}

func (e *event) reset(ver *version, id string) {
	*e = event{ver: ver, id: id, fields: e.fields[:0], message: e.message[:0]}
}

func (e *event) key(k string) {
	e.fields = append(e.fields, '"')
	e.fields = append(e.fields, k...)
	e.fields = append(e.fields, e.ver.colon...)
}

func (e *event) text(k, v string) {
	e.key(k)
	e.fields = append(e.fields, '"')
	e.fields = appendText(e.fields, v)
	e.fields = append(e.fields, '"')
	e.fields = append(e.fields, e.ver.comma...)
}

// text2 is text with the value in two parts.
func (e *event) text2(k, v, w string) {
	e.key(k)
	e.fields = append(e.fields, '"')
	e.fields = appendText(e.fields, v)
	e.fields = appendText(e.fields, w)
	e.fields = append(e.fields, '"')
	e.fields = append(e.fields, e.ver.comma...)
}

func (e *event) number(k string, v int64) {
	e.key(k)
	e.fields = strconv.AppendInt(e.fields, v, 10)
	e.fields = append(e.fields, e.ver.comma...)
}

func (e *event) truth(k string, v bool) {
	e.key(k)
	e.fields = strconv.AppendBool(e.fields, v)
	e.fields = append(e.fields, e.ver.comma...)
}

// raw writes a value that is JSON already.
func (e *event) raw(k string, v []byte) {
	e.key(k)
	e.fields = append(e.fields, v...)
	e.fields = append(e.fields, e.ver.comma...)
}

// say appends to the message.
func (e *event) say(parts ...string) {
	e.said = true
	for _, p := range parts {
		e.message = appendText(e.message, p)
	}
}

func (e *event) sayNumber(n int64) {
	e.said = true
	e.message = strconv.AppendInt(e.message, n, 10)
}

// appendLine puts the event together as one line.
func (e *event) appendLine(b []byte, s *session, at int64) []byte {
	v := e.ver
	b = append(b, '{')
	key := func(k string) {
		b = append(b, '"')
		b = append(b, k...)
		b = append(b, v.colon...)
	}
	text := func(k, t string) { // for what needs no escape
		key(k)
		b = append(b, '"')
		b = append(b, t...)
		b = append(b, '"')
		b = append(b, v.comma...)
	}
	number := func(k string, n int) {
		key(k)
		b = strconv.AppendInt(b, int64(n), 10)
		b = append(b, v.comma...)
	}
	for _, sl := range v.order {
		switch sl {
		case slotEventid:
			text("eventid", e.id)
		case slotLead:
			text("session", s.id)
			text("protocol", s.protocol)
			text("src_ip", s.srcIP)
			number("src_port", s.srcPort)
			if e.dstIP != "" {
				text("dst_ip", e.dstIP)
				number("dst_port", e.dstPort)
			} else {
				text("dst_ip", s.sensor.ip)
				number("dst_port", s.dstPort)
			}
		case slotFields:
			b = append(b, e.fields...)
		case slotMessage:
			switch {
			case e.list:
				key("message")
				b = append(b, "[]"...)
				b = append(b, v.comma...)
			case e.said:
				key("message")
				b = append(b, '"')
				b = append(b, e.message...)
				b = append(b, '"')
				b = append(b, v.comma...)
			}
		case slotSystem:
			text("system", s.system)
			number("isError", 0)
		case slotLate:
			if e.late {
				key("late")
				b = append(b, "true"...)
				b = append(b, v.comma...)
			}
		case slotSensor:
			text("sensor", s.sensor.name)
		case slotUUID:
			text("uuid", s.sensor.uuid)
		case slotTimestamp:
			key("timestamp")
			b = append(b, '"')
			b = s.clock.append(b, at)
			b = append(b, '"')
			b = append(b, v.comma...)
		case slotSrcIP:
			if !e.own && !e.whole {
				text("src_ip", s.srcIP)
			}
		case slotSession:
			if !e.whole {
				text("session", s.id)
			}
		case slotProtocol:
			if !e.whole {
				text("protocol", s.protocol)
			}
		}
	}
	b = b[:len(b)-len(v.comma)]
	return append(b, '}', '\n')
}

const hexDigits = "0123456789abcdef"

// appendText escapes a text as Python's json.dumps does: all that is not
// printable ASCII as \uXXXX, short forms where there are any.
func appendText(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		r, size := utf8.DecodeRuneInString(s[i:])
		switch r {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		case '\b':
			b = append(b, '\\', 'b')
		case '\f':
			b = append(b, '\\', 'f')
		default:
			if r >= 0x10000 {
				r -= 0x10000
				b = appendUnit(b, 0xd800+r>>10)
				r = 0xdc00 + r&0x3ff
			}
			b = appendUnit(b, r)
		}
		i += size
		start = i
	}
	return append(b, s[start:]...)
}

func appendUnit(b []byte, u rune) []byte {
	return append(b, '\\', 'u', hexDigits[u>>12&15], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
}
