package synth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// sensor makes the visits of one sensor and writes their lines in time order.
type sensor struct {
	era       Era
	name      string
	address   string // where it listens
	signature string // the members sensor and uuid
	clock     clock
	rng       *rand.Rand
	files     population
	stored    bitset // the files on its disk
	clients   []client

	index    int
	salt     uint64
	visits   int64 // begun so far
	events   int   // to be written in all
	planned  int   // lines of the visits begun so far
	wanted   float64
	sighted  int // sightings among the planned lines
	start    int64
	window   int64 // in which visits begin
	patience int64 // how long a visit lasts before it hurries

	open queue
	idle []*visit // written, to be used again
}

func newSensor(o Options, index int) *sensor {
	s := &sensor{
		era:     o.Era.of(index),
		name:    SensorName(index),
		address: "203.0.113." + strconv.Itoa(1+index%254),
		rng:     rand.New(rand.NewPCG(o.Seed, uint64(index)+1)),
		index:   index,
		salt:    mix(o.Seed ^ 0x5e55_10ad),
		events:  o.eventsOf(index),
		wanted:  max(0, o.FileShare),
		start:   o.Start.UnixMicro(),
	}
	s.files = newPopulation(o.Seed, o.Hashes, s.rng)
	s.stored = newBitset(o.Hashes)
	span := o.Span.Microseconds()
	s.patience = min(10*minute, span/10)
	s.window = max(1, span-s.patience-minute)
	if span < 20*minute {
		s.window = max(1, span-s.patience-s.patience/2)
	}
	st := s.style()
	s.clients = clientsIn(st)
	s.signature = st.comma + "sensor" + st.colon + `"` + s.name + `"`
	if s.era >= Era2025 {
		a, b := mix(o.Seed+uint64(index)), mix(o.Seed^uint64(index)<<32)
		s.signature += fmt.Sprintf(`%suuid%s"%08x-%04x-11f0-%04x-%012x"`, st.comma, st.colon,
			uint32(a), uint16(a>>32), 0x8000|b>>48&0x3fff, b&0xffff_ffff_ffff)
	}
	return s
}

func (s *sensor) style() style {
	if s.era == Era2018 {
		return spaced
	}
	return compact
}

// run writes all lines, in time order, with write. A line is write's only
// until it returns.
func (s *sensor) run(ctx context.Context, write func(line []byte, at int64) error) (tally, error) {
	t := tally{files: newBitset(s.files.size)}
	begins := s.begins()
	for t.Events < s.events {
		if s.planned < s.events && (len(s.open) == 0 || begins <= s.open[0].at) {
			s.open.push(s.visit(begins))
			begins = max(begins, s.begins())
			continue
		}
		v := s.open[0].visit
		m := v.marks[v.next]
		first := int32(0)
		if v.next > 0 {
			first = v.marks[v.next-1].end
		}
		line := v.buf[first:m.end]
		if err := write(line, m.at); err != nil {
			return t, err
		}
		if v.next == 0 {
			t.Sessions++
		}
		t.count(m, len(line))
		v.next++
		if v.next == len(v.marks) {
			s.open.pop()
			s.idle = append(s.idle, v)
		} else {
			s.open.delay(v.marks[v.next].at)
		}
		if t.Events%1024 == 0 && ctx.Err() != nil {
			return t, context.Cause(ctx)
		}
	}
	return t, context.Cause(ctx)
}

// begins returns when the next visit begins: as far into the time as the lines
// planned so far are into all lines, and a little more or less.
func (s *sensor) begins() int64 {
	if s.planned == 0 || s.events == 0 {
		return s.start
	}
	part := (float64(s.planned) + 6*s.rng.Float64()) / float64(s.events)
	return s.start + int64(min(1, part)*float64(s.window))
}

// visit makes the next visit, with no more lines than are left to write.
func (s *sensor) visit(start int64) *visit {
	var v *visit
	if n := len(s.idle); n > 0 {
		v, s.idle = s.idle[n-1], s.idle[:n-1]
	} else {
		v = &visit{sensor: s, style: s.style()}
	}
	due := int(s.wanted*float64(s.planned)) - s.sighted
	v.play(start, due)
	s.visits++
	if left := s.events - s.planned; len(v.marks) > left {
		v.marks = v.marks[:left]
	}
	s.planned += len(v.marks)
	return v
}

// sessionID returns a new session's id: 12 hex digits, of which no two
// sessions of a run have the same. It is a bijection of the sensor's index and
// the session's number, both of which fit into 48 bits.
func (s *sensor) sessionID() string {
	const mask = 1<<48 - 1
	x := (uint64(s.index)<<34 | uint64(s.visits)) ^ s.salt&mask
	for range 2 {
		x = x * 0x9e37_79b9_7f4b & mask
		x ^= x >> 25
	}
	var b [12]byte
	for i := range b {
		b[i] = hexDigits[x>>(44-4*i)&15]
	}
	return string(b[:])
}

// mix spreads a number's bits over 64 (the last step of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
