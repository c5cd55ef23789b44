package report

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"strings"

	"midden/internal/cowrie"
)

// fileSums are the files of the period, and what was counted of their sightings.
type fileSums struct {
	known map[string]*file
	list  []*file // those that were seen

	urls, names, paths tally
	transfers          []int64 // by day
	brought            map[broughtKey]struct{}
	flagged            map[sessionKey]struct{} // sessions that brought what is malicious
	flaggedFiles       int64                   // that they brought, each once a session
	worst, recent      picks
}

// file is a file that was seen in the period, or may have been.
type file struct {
	cowrie.SeenFile
	opinion
	place                  int // in the list, from 1
	seen                   [3]int64
	sessions               int64
	recent, lookedUpInVain bool
}

func (f *file) count() int64 { return f.seen[0] + f.seen[1] + f.seen[2] }

func kindPlace(k cowrie.Kind) int {
	switch k {
	case cowrie.Download:
		return 0
	case cowrie.Upload:
		return 1
	}
	return 2
}

// sessionKey stands for the id of a session: short ones for themselves, others by a digest.
type sessionKey [16]byte

func newSessionKey(id string) (k sessionKey) {
	if len(id) < len(k) {
		copy(k[:], id)
		k[len(k)-1] = byte(len(id))
		return k
	}
	sum := sha256.Sum256([]byte(id))
	copy(k[:], sum[:])
	k[len(k)-1] = 0xff
	return k
}

type broughtKey struct {
	session sessionKey
	file    int32
}

// seenFiles finds out which files there may be.
func (b *builder) seenFiles(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.view.SeenFiles(ctx, b.now.Span, func(f *cowrie.SeenFile) error {
		b.file(f.Shasum).SeenFile = *f
		return nil
	})
}

// file returns a file that may have been seen.
func (b *builder) file(shasum string) *file {
	f := b.files.known[shasum]
	if f == nil {
		f = &file{SeenFile: cowrie.SeenFile{Shasum: shasum, First: cowrie.NoTime}, opinion: newOpinion(nil)}
		b.files.known[shasum] = f
	}
	return f
}

// seenTasks count the sightings of the period, and those of the period before.
func (b *builder) seenTasks(t *tasks) {
	b.files.transfers = make([]int64, len(b.now.days)-1)
	b.files.brought, b.files.flagged = map[broughtKey]struct{}{}, map[sessionKey]struct{}{}
	for _, piece := range b.now.pieces() {
		t.add(func(ctx context.Context) error {
			list := newBatch(b, b.sighting)
			err := b.view.Seen(ctx, piece, func(s *cowrie.Sighting) error {
				list.add(*s)
				return nil
			})
			list.flush()
			return err
		})
	}
	for _, piece := range b.before.pieces() {
		t.add(func(ctx context.Context) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.view.CountSeen(ctx, piece, b.before.seen.add)
		})
	}
}

// sighting counts a sighting.
func (b *builder) sighting(s cowrie.Sighting) {
	d := &b.files
	f := b.file(s.Shasum)
	if f.place == 0 {
		d.list = append(d.list, f)
		f.place = len(d.list)
	}
	f.seen[kindPlace(s.Kind)]++
	if name := s.Name(); name != "" {
		d.names.add(name, 1)
	}
	if s.Destfile != "" {
		d.paths.add(s.Destfile, 1)
	}
	if s.URL != "" {
		d.urls.add(s.URL, 1)
	}
	if s.Kind == cowrie.Disk {
		return
	}
	d.transfers[b.now.dayOf(s.SeenAt)]++
	if s.Session == "" {
		return
	}
	session := newSessionKey(s.Session)
	key := broughtKey{session, int32(f.place)}
	if _, known := d.brought[key]; !known {
		d.brought[key] = struct{}{}
		f.sessions++
		if f.malicious > 0 {
			d.flaggedFiles++
		}
	}
	if f.malicious > 0 {
		d.flagged[session] = struct{}{}
		d.worst.add(pick{s.Session, int64(-f.malicious), s.SeenAt})
	}
	if f.first != cowrie.NoTime && s.SeenAt >= f.first && s.SeenAt-f.first < RecentDays*cowrie.DayLength {
		f.recent = true
		d.recent.add(pick{s.Session, 0, s.SeenAt})
	}
}

// pick is a session that a list may name.
type pick struct {
	session string
	rank    int64
	at      cowrie.Time
}

// picks are the first sessions by rank and time, each once.
type picks struct{ list []pick }

func (p *picks) add(one pick) {
	if p.list = append(p.list, one); len(p.list) >= 16*maxListed {
		p.trim()
	}
}

func (p *picks) trim() {
	slices.SortFunc(p.list, func(x, y pick) int {
		return cmp.Or(cmp.Compare(x.rank, y.rank), cmp.Compare(x.at, y.at), strings.Compare(x.session, y.session))
	})
	seen := map[string]bool{}
	p.list = slices.DeleteFunc(p.list, func(one pick) bool {
		was := seen[one.session]
		seen[one.session] = true
		return was
	})
	p.list = p.list[:min(len(p.list), maxListed)]
}

func (p *picks) sessions() []string {
	p.trim()
	ids := make([]string, len(p.list))
	for i, one := range p.list {
		ids[i] = one.session
	}
	return ids
}

// seenCounts are the numbers of files that are compared with those of the period before.
type seenCounts struct {
	kinds  [3]int64
	hashes map[string]bool
	fresh  map[string]bool // may be new: never seen before the period
}

func (c *seenCounts) add(shasum string, kind cowrie.Kind, n int64) error {
	if c.hashes == nil {
		c.hashes = map[string]bool{}
	}
	c.hashes[shasum] = true
	c.kinds[kindPlace(kind)] += n
	return nil
}

// newBefore finds out which files were new in the period before.
func (b *builder) newBefore(ctx context.Context) error {
	fresh := map[string]bool{}
	b.before.seen.fresh = fresh
	return b.view.SeenFiles(ctx, b.before.Span, func(f *cowrie.SeenFile) error {
		if f.First >= b.before.From {
			fresh[f.Shasum] = true
		}
		return nil
	})
}

// isNew reports whether a file was never seen before the period.
func (b *builder) isNew(f *file) bool { return f.First >= b.now.From }

// document returns what a report says of a file.
func (f *file) document() FileCount {
	return FileCount{Shasum: f.Shasum, Count: f.count(), Sessions: f.sessions, Name: f.Name, Type: f.Type, Size: f.Size,
		Classification: f.label, Malicious: cowrie.Engines(f.malicious), Total: cowrie.Engines(f.total), Status: f.status(), FirstSeen: f.First}
}

// status is that of files.enrichment_status, at the moment of which the report is.
func (f *file) status() string {
	switch {
	case f.Shasum == cowrie.EmptyShasum:
		return "ignored"
	case f.known:
		return "known"
	case f.asked:
		return "unknown"
	case f.lookedUpInVain:
		return "failed"
	}
	return "pending"
}

// fileSection is what a report says of the files.
func (b *builder) fileSection() Files {
	d := &b.files
	s := Files{Failed: b.now.log.failed, UniqueHashes: int64(len(d.list)), TopHashes: []FileCount{}, New: []FileCount{}, Top: []URLCount{},
		Names: d.names.top(b.Top), Paths: d.paths.top(b.Top),
		UniqueURLs: d.urls.unique(), UniqueNames: d.names.unique(), UniquePaths: d.paths.unique()}
	var labels, types, hosts tally
	for _, f := range d.list {
		s.Downloads += f.seen[0]
		s.Uploads += f.seen[1]
		s.OnDisk += f.seen[2]
		if b.isNew(f) {
			s.NewHashes++
		}
		if f.recent {
			s.RecentVT++
		}
		if f.label != "" {
			labels.add(f.label, 1)
		}
		if f.Type != "" {
			types.add(f.Type, 1)
		}
	}
	for url := range d.urls.all {
		if name := host(url.Value); name != "" {
			hosts.add(name, url.Count)
		}
	}
	s.Classifications, s.UniqueTypes, s.UniqueHosts = labels.unique(), types.unique(), hosts.unique()
	s.TopClassifications, s.Types, s.Hosts = labels.top(b.Top), types.top(b.Top), hosts.top(b.Top)
	mostSeen := func(n int, fits func(*file) bool) []FileCount {
		list := []FileCount{}
		for _, f := range b.first(n, fits, func(x, y *file) int { return cmp.Compare(y.count(), x.count()) }) {
			list = append(list, f.document())
		}
		return list
	}
	s.TopHashes = mostSeen(b.Top, func(*file) bool { return true })
	s.New = mostSeen(maxListed, b.isNew)
	for _, c := range d.urls.top(b.Top) {
		s.Top = append(s.Top, URLCount{c.Value, c.Count})
	}
	return s
}

// first returns the first files of those that fit, in an order, and else by hash.
func (b *builder) first(n int, fits func(*file) bool, order func(x, y *file) int) []*file {
	return first(n, func(yield func(*file) bool) {
		for _, f := range b.files.list {
			if fits(f) && !yield(f) {
				return
			}
		}
	}, func(x, y *file) int { return cmp.Or(order(x, y), strings.Compare(x.Shasum, y.Shasum)) })
}

// host is the host that a URL names, in lower case and without its port; "" if it is no URL.
func host(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, `/?#\`); i >= 0 {
		rest = rest[:i]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if strings.HasPrefix(rest, "[") { // an IPv6 address
		if i := strings.IndexByte(rest, ']'); i >= 0 {
			return strings.ToLower(rest[1:i])
		}
	}
	if i := strings.IndexByte(rest, ':'); i >= 0 {
		rest = rest[:i]
	}
	return strings.ToLower(rest)
}
