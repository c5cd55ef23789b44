package cowrieprocessor

import (
	"slices"
	"strings"
)

// The tool read lines into a batch and wrote it in one transaction.

const (
	bulkBatch  = 500 // raw events
	deltaBatch = 200
)

// batch is what is written at once. Texts that are spans stand in text.
type batch struct {
	text     string
	rows     []row
	sessions []*session // in the order of their first event
	letters  []letter
	cursor   *cursor
	files    []foreign
	kept     []byte // text, while it grows
}

type span struct{ from, to int }

// source is a log file under one inode.
type source struct {
	name  string
	inode string // "" for NULL
}

type row struct {
	source      *source
	generation  int
	offset      int
	payload     span
	hash        span
	risk        int
	quarantined bool
	keys        [3]span // values of the generated columns, if they are kept
}

type letter struct {
	source  *source
	offset  int
	reason  string
	payload span
}

// session is what a batch adds to a session.
type session struct {
	id                              string
	first, last                     moment
	events, commands, files, logins int
	risk                            int
	sensor                          string // "" for NULL
	sources                         []string
}

// cursor is a row of ingest_cursors.
type cursor struct {
	source     *source
	inode      string // "" for NULL
	last       int    // number of the last line read, -1 for none
	generation int
	firstHash  string // of line 0; "" for NULL
}

func (b *batch) keep(text []byte) span {
	from := len(b.kept)
	b.kept = append(b.kept, text...)
	return span{from, len(b.kept)}
}

func (b *batch) of(s span) string { return b.text[s.from:s.to] }

// collector makes batches of lines, and hands them on. The two ways of loading
// differ in what they do about events that are no good, and in cursors.
type collector struct {
	eventReader
	size     int    // of a full batch
	files    string // Options.Files
	keys     bool   // keep the values of generated columns
	emit     func(*batch) error
	batch    *batch
	sessions map[string]*session
	delta    *deltaState
}

func newCollector(size int, files string, emit func(*batch) error) *collector {
	c := &collector{size: size, files: files, emit: emit}
	c.begin()
	return c
}

func (c *collector) begin() {
	c.batch = &batch{kept: make([]byte, 0, c.size*600), rows: make([]row, 0, c.size)}
	c.sessions = make(map[string]*session, c.size/4)
}

// flush hands the batch on, with the cursor if there is one.
func (c *collector) flush(to *cursor) error {
	b := c.batch
	if len(b.rows) == 0 && len(b.letters) == 0 && to == nil {
		return nil
	}
	c.begin()
	b.text, b.kept, b.cursor = string(b.kept), nil, to
	return c.emit(b)
}

// add adds an event, as a bulk load did.
func (c *collector) add(src *source, offset int, e event) error {
	c.store(src, offset, 0, e, e.sensor)
	if len(c.batch.rows) == c.size {
		return c.flush(nil)
	}
	return nil
}

// store puts an event into the batch and counts it for its session.
func (c *collector) store(src *source, offset, generation int, e event, sensor []byte) span {
	b := c.batch
	payload := b.keep(e.payload)
	b.rows = append(b.rows, row{source: src, generation: generation, offset: offset,
		payload: payload, hash: b.keep(e.hash), risk: e.risk, quarantined: e.quarantined})
	if c.keys {
		b.rows[len(b.rows)-1].keys = [...]span{b.keep(e.session), b.keep(e.id), b.keep(e.object.get("timestamp").plainText())}
	}
	if c.files != "" {
		if f, ok := sighting(e, c.files); ok {
			b.files = append(b.files, f)
		}
	}
	if len(e.session) == 0 {
		return payload
	}
	s := c.sessions[string(e.session)]
	if s == nil {
		s = &session{id: string(e.session)}
		c.sessions[s.id] = s
		b.sessions = append(b.sessions, s)
	}
	s.events++
	if isCommand(e.id) {
		s.commands++
	}
	if isDownload(e.id) {
		s.files++
	}
	if isLogin(e.id) {
		s.logins++
	}
	if s.sensor == "" {
		s.sensor = string(sensor)
	}
	if e.when.text != "" {
		if s.first.text == "" || e.when.at < s.first.at {
			s.first = e.when
		}
		if s.last.text == "" || e.when.at > s.last.at {
			s.last = e.when
		}
	}
	s.risk = max(s.risk, e.risk)
	if at, found := slices.BinarySearch(s.sources, src.name); !found {
		s.sources = slices.Insert(s.sources, at, src.name)
	}
	return payload
}

// sourceFiles returns the sources as json.dumps writes them.
func (s *session) sourceFiles() string {
	var b strings.Builder
	for i, name := range s.sources {
		b.WriteString([...]string{"[", ", "}[min(i, 1)])
		b.Write(appendQuoted(nil, []byte(name)))
	}
	return b.String() + "]"
}

// deltaState is what a delta load knows of the source that it reads.
type deltaState struct {
	source     *source
	known      *cursor // as it is stored; nil for a new source
	inode      string  // of the cursor that was last written
	last       int
	generation int
	firstHash  string
	saved      bool
}

// open begins a delta load of a source, with its cursor if it has one.
func (c *collector) open(src *source, known *cursor) {
	c.delta = &deltaState{source: src, known: known, last: -1}
	if known != nil {
		c.delta.inode, c.delta.last = known.inode, known.last
		c.delta.generation, c.delta.firstHash = known.generation, known.firstHash
	}
}

// addNew adds an event if it is new, as a delta load did, with all that was
// wrong: under another inode every event begins a generation of its own until
// a batch is full; the cursor then stands at the larger of the old and the new
// number, and lines before that are passed over.
func (c *collector) addNew(offset int, e event) error {
	d := c.delta
	moved := d.known != nil && d.inode != "" && d.source.inode != "" && d.inode != d.source.inode
	begun := d.known != nil && offset == 0 && d.firstHash != "" && d.firstHash != string(e.hash)
	if moved || begun {
		d.known.last = -1
	}
	if d.known != nil && !moved && offset <= d.known.last {
		return nil
	}
	if moved || begun {
		d.generation++
	}
	d.last = max(d.last, offset)
	if e.invalid {
		c.batch.letters = append(c.batch.letters, letter{d.source, offset, "validation", c.batch.keep(e.payload)})
		return nil
	}
	payload := c.store(d.source, offset, d.generation, e, nil)
	if e.quarantined {
		c.batch.letters = append(c.batch.letters, letter{d.source, offset, "quarantined", payload})
	}
	if offset == 0 {
		d.firstHash = string(e.hash)
	}
	if len(c.batch.rows) == c.size {
		return c.flush(c.save())
	}
	return nil
}

// save returns the cursor as it is to be stored now.
func (c *collector) save() *cursor {
	d := c.delta
	d.known = &cursor{d.source, d.source.inode, d.last, d.generation, d.firstHash}
	d.inode, d.saved = d.source.inode, true
	stored := *d.known
	return &stored
}

// close ends the reading of a source.
func (c *collector) close() error {
	d := c.delta
	switch {
	case d == nil:
		return c.flush(nil)
	case len(c.batch.rows) > 0:
		return c.flush(c.save())
	case !d.saved && (d.known == nil && d.last > -1 || d.known != nil && d.last > d.known.last):
		return c.flush(c.save())
	}
	return c.flush(nil)
}
