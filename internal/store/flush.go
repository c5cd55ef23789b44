package store

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"

	"midden/internal/cowrie"
)

// flush writes what the batch adds up to. What it has to ask it asks first, as far as it can: then
// nothing keeps it from reckoning while rows are being stored.
func (a *appending) flush() error {
	sightings, err := a.knownSightings()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(a.sightings, func(s sightingRow) bool { return !sightings.has(&s) }) {
		if _, err := a.publishes(); err != nil {
			return err
		}
	}
	files, err := a.storedFiles()
	if err != nil {
		return err
	}
	days, err := a.knownDays()
	if err != nil {
		return err
	}
	if err := a.flushSessions(); err != nil {
		return err
	}
	a.storeDays(days)
	if err := a.storeSightings(sightings); err != nil {
		return err
	}
	if err := a.storeFiles(files); err != nil {
		return err
	}
	if err := a.flushVerdicts(); err != nil {
		return err
	}
	a.flushSources()
	return nil
}

// sightingKey is what makes a sighting that sighting.
func sightingKey(s *cowrie.Sighting) [16]byte {
	duplicate := ""
	if s.Duplicate != nil {
		duplicate = strconv.FormatBool(*s.Duplicate)
	}
	b := make([]byte, 0, 512)
	seenAt := s.SeenAt.String()
	if s.Kind == cowrie.Disk {
		seenAt = "" // of several copies the earliest counts
	}
	for _, part := range []string{s.Shasum, string(s.Kind), seenAt, s.Sensor, s.SrcIP,
		s.Filename, s.Destfile, s.URL, s.Outfile, duplicate} {
		b = append(strconv.AppendInt(b, int64(len(part)), 10), ':')
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

type sightingID struct {
	session string
	key     [16]byte
}

// flushSightings stores the sightings, and counts them into their files.
func (a *appending) flushSightings() error {
	known, err := a.knownSightings()
	if err != nil {
		return err
	}
	return a.storeSightings(known)
}

// storeSightings stores those that are not known, in the order of files as flushSessions does.
func (a *appending) storeSightings(known *knownSightings) error {
	columns := []string{"shasum", "session_id", "sensor", "src_ip", "kind", "seen_at", "filename", "destfile",
		"download_url", "outfile", "duplicate", "sighting_key"}
	insert := a.insert("file_sightings", append(columns, "segment_id", "event_index")...)
	insertRaw := a.insert("file_sightings", append(columns, "raw_event_id")...)
	slices.SortStableFunc(a.sightings, func(x, y sightingRow) int { return strings.Compare(x.Shasum, y.Shasum) })
	for i := range a.sightings {
		s := &a.sightings[i]
		if known.has(s) {
			continue
		}
		known.keys[sightingID{s.Session, s.key}] = true
		bringing := brought{s.Session, s.Shasum}
		a.added = append(a.added, addedSighting{s.Sighting, s.Session != "" && !known.brought[bringing]})
		known.brought[bringing] = true
		a.tally.Sightings++
		if f := a.files[s.Shasum]; f != nil {
			f.Add(cowrie.NewFile(s.Sighting))
		} else {
			a.files[s.Shasum] = cowrie.NewFile(s.Sighting)
		}
		var duplicate any
		if s.Duplicate != nil {
			duplicate = *s.Duplicate
		}
		to := insert
		if s.raw != 0 {
			to = insertRaw
		}
		to.values(s.Shasum, s.Session, orNull(s.Sensor), orNull(s.SrcIP), string(s.Kind), timeText(s.SeenAt),
			orNull(s.Filename), orNull(s.Destfile), orNull(s.URL), storedOutfile(s.Sighting), duplicate, s.key[:])
		if s.raw != 0 {
			to.row(s.raw)
		} else {
			to.row(s.segment, s.Event)
		}
		if err := a.changedSighting(s.Session, s.key[:]); err != nil {
			return err
		}
	}
	insert.done()
	insertRaw.done()
	return nil
}

// storedOutfile is where the sensor kept the file. It nearly always ends with
// the file's hash, which stands beside it already and is left out.
func storedOutfile(s *cowrie.Sighting) any {
	if dir, ok := strings.CutSuffix(s.Outfile, s.Shasum); ok && (dir == "" || strings.HasSuffix(dir, "/")) {
		return dir
	}
	if strings.HasSuffix(s.Outfile, "/") || strings.HasSuffix(s.Outfile, whole) {
		return s.Outfile + whole
	}
	return orNull(s.Outfile)
}

// whole ends an outfile that would else look like one without its hash.
const whole = "\x00"

// outfile undoes storedOutfile.
func outfile(stored *string, shasum string) string {
	switch {
	case stored == nil:
		return ""
	case strings.HasSuffix(*stored, whole):
		return strings.TrimSuffix(*stored, whole)
	case *stored == "" || strings.HasSuffix(*stored, "/"):
		return *stored + shasum
	}
	return *stored
}

// knownSightings are the stored sightings of some sessions.
type knownSightings struct {
	keys map[sightingID]bool
	// Those that stand in segments, by what they have in common with the copy
	// of their event that cowrieprocessor stored.
	alike   map[sightingLikeness]bool
	brought map[brought]bool
}

// brought says that a session brought a file.
type brought struct{ session, shasum string }

type sightingLikeness struct {
	session, shasum string
	kind            cowrie.Kind
	seenAt          cowrie.Time
}

func (k *knownSightings) has(s *sightingRow) bool {
	return k.keys[sightingID{s.Session, s.key}] ||
		s.raw != 0 && s.SeenAt != cowrie.NoTime && k.alike[sightingLikeness{s.Session, s.Shasum, s.Kind, s.SeenAt}]
}

// knownSightings returns the stored sightings of the sessions that this batch
// adds sightings to. A session that is new has none.
func (a *appending) knownSightings() (*knownSightings, error) {
	known := &knownSightings{map[sightingID]bool{}, map[sightingLikeness]bool{}, map[brought]bool{}}
	if len(a.sightings) == 0 {
		return known, nil
	}
	takenOver, err := a.takenOver()
	if err != nil {
		return nil, err
	}
	var ids []any
	asked := map[string]bool{}
	for i := range a.sightings {
		id := a.sightings[i].Session
		// What cowrieprocessor left need not have a row of its session.
		if row := a.sessions[id]; !asked[id] && (row == nil || row.known || takenOver) {
			asked[id] = true
			ids = append(ids, id)
		}
	}
	err = a.s.inLists(ids, func(list string, args []any) error {
		return a.each(`SELECT session_id, sighting_key, shasum, kind, seen_at, segment_id IS NOT NULL
			FROM file_sightings WHERE session_id `+list, args, func(scan func(...any) error) error {
			var like sightingLikeness
			var key []byte
			var segment bool
			if err := scan(&like.session, &key, &like.shasum, &like.kind, scanTime{&like.seenAt}, &segment); err != nil {
				return err
			}
			known.brought[brought{like.session, like.shasum}] = true
			if len(key) == 16 {
				known.keys[sightingID{like.session, [16]byte(key)}] = true
			}
			if segment {
				known.alike[like] = true
			}
			return nil
		})
	})
	return known, err
}

// flushSessions stores the sessions and their commands in the order of their indexes, whose
// pages are more than a cache holds: each that changes is read and written once.
func (a *appending) flushSessions() error {
	order := make([]*sessionRow, 0, len(a.sessions))
	for _, row := range a.sessions {
		if row.known && row.fresh == 0 && !row.derived {
			continue // looked up, but all of its events were known
		}
		order = append(order, row)
	}
	slices.SortFunc(order, func(x, y *sessionRow) int {
		return strings.Compare(x.session.ID, y.session.ID)
	})
	insert := a.insert("session_summaries", "session_id", "first_event_at", "last_event_at", "event_count", "command_count",
		"file_downloads", "login_attempts", "matcher", "src_ip", "protocol", "duration_ms", "client_version", "hassh",
		"username", "password", "login_at", "login_successes", "file_uploads", "failed_transfers", "shared_id",
		"segments", "segment_events")
	commands := a.insert("command_stats", "session_id", "command_normalized", "occurrences", "first_seen", "last_seen")
	sums, err := a.keptSums(order)
	if err != nil {
		return err
	}
	for _, row := range order {
		s := row.session
		if row.known {
			a.updateSession(row)
			continue
		}
		a.tally.Sessions++
		insert.row(append([]any{s.ID}, sessionValues(row)...)...)
		for _, text := range sortedKeys(s.CommandStats) {
			c := s.CommandStats[text]
			commands.row(s.ID, text, c.Occurrences, timeSQL(c.First), timeSQL(c.Last))
		}
	}
	insert.done()
	commands.done()
	return a.addSums(sums, order)
}

// sessionValues are the columns of a session behind its id.
func sessionValues(row *sessionRow) []any {
	s := row.session
	success := s.LoginSuccesses > 0
	user, password := any(nil), any(nil)
	if success {
		user, password = s.Username, s.Password // the empty text is a name
	}
	return []any{timeSQL(s.First), timeSQL(s.Last), s.Events, s.Commands, s.Downloads, s.LoginAttempts,
		orNull(s.Sensor), orNull(s.SrcIP), orNull(s.Protocol), orNull64(s.Duration, s.Duration < 0),
		orNull(s.ClientVersion), orNull(s.HASSH), user, password, timeText(s.LoginAt), s.LoginSuccesses,
		s.Uploads, s.FailedTransfers, s.SharedID, orNull(row.segments.String()), row.inSegments}
}

func (a *appending) updateSession(row *sessionRow) {
	args := append(sessionValues(row), row.session.ID)
	a.later(`UPDATE session_summaries SET first_event_at = $1, last_event_at = $2, event_count = $3,
		command_count = $4, file_downloads = $5, login_attempts = $6, matcher = $7, src_ip = $8, protocol = $9,
		duration_ms = $10, client_version = $11, hassh = $12, username = $13, password = $14, login_at = $15,
		login_successes = $16, file_uploads = $17, failed_transfers = $18, shared_id = $19, segments = $20,
		segment_events = $21 WHERE session_id = $22`, args...)
	if row.derived {
		a.replaceCommands(row.session)
		return
	}
	for _, text := range sortedKeys(row.delta) {
		c := row.delta[text]
		a.later(`INSERT INTO command_stats (session_id, command_normalized, occurrences, first_seen, last_seen)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT (session_id, `+a.s.engine.Key("command_normalized")+`) DO UPDATE SET
			occurrences = command_stats.occurrences + excluded.occurrences,
			first_seen = `+earlier("command_stats.first_seen", "excluded.first_seen")+`,
			last_seen = `+later("command_stats.last_seen", "excluded.last_seen"),
			row.session.ID, text, c.Occurrences, timeSQL(c.First), timeSQL(c.Last))
	}
}

// replaceCommands stores the commands of a session in place of those that are
// stored.
func (a *appending) replaceCommands(s *cowrie.Session) {
	a.later(`DELETE FROM command_stats WHERE session_id = $1`, s.ID)
	for _, text := range sortedKeys(s.CommandStats) {
		c := s.CommandStats[text]
		a.later(`INSERT INTO command_stats (session_id, command_normalized, occurrences, first_seen, last_seen)
			VALUES ($1, $2, $3, $4, $5)`, s.ID, text, c.Occurrences, timeSQL(c.First), timeSQL(c.Last))
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// flushFiles adds the sightings of the batch to their files.
func (a *appending) flushFiles() error {
	stored, err := a.storedFiles()
	if err != nil {
		return err
	}
	return a.storeFiles(stored)
}

func (a *appending) storeFiles(stored *storedFiles) error {
	had := map[string]int64{} // sightings
	shasums := sortedKeys(a.files)
	files := make([]*cowrie.File, 0, len(shasums))
	lookups := a.insert("lookups", "source", "shasum", "state", "updated_at")
	lookups.tail = " ON CONFLICT (source, shasum) DO NOTHING"
	now := cowrie.FromStd(a.now).String()
	for _, shasum := range shasums {
		f := a.files[shasum]
		if have := stored.rows[shasum]; have != nil {
			before := *have
			had[shasum] = before.Sightings
			have.Add(f)
			if a.files[shasum], f = have, have; *have == before {
				continue
			}
		} else {
			a.tally.Files++
			if shasum != cowrie.EmptyShasum {
				lookups.row(cowrie.SourceVirusTotal, shasum, cowrie.LookupNew, now)
			}
		}
		files = append(files, f)
	}
	lookups.done()
	if err := a.writeFiles(files...); err != nil {
		return err
	}
	return a.flushFileSums(had, stored.pieces)
}

// writeFiles stores rows of files, in place of those that are there.
func (a *appending) writeFiles(files ...*cowrie.File) error {
	columns := []string{"session_id", "filename", "filename_at", "download_url", "download_url_at", "first_seen",
		"last_seen", "sighting_count", "disk_only", "updated_at"}
	insert := a.insert("files", append(columns, "shasum", "enrichment_status", "created_at")...)
	for i, c := range columns {
		columns[i] = c + " = excluded." + c
	}
	insert.tail = " ON CONFLICT (shasum) DO UPDATE SET " + strings.Join(columns, ", ")
	now := cowrie.FromStd(a.now).String()
	for _, f := range files {
		status := "pending"
		if f.Shasum == cowrie.EmptyShasum {
			status = "ignored"
		}
		nameAt, urlAt := any(nil), any(nil)
		if f.Name != "" {
			nameAt = timeText(f.NameAt)
		}
		if f.URL != "" {
			urlAt = timeText(f.URLAt)
		}
		insert.row(orNull(f.Session), orNull(f.Name), nameAt, orNull(f.URL), urlAt, timeText(f.First),
			timeText(f.Last), f.Sightings, f.DiskOnly, now, f.Shasum, status, now)
		if err := a.changedFile(f.Shasum); err != nil {
			return err
		}
	}
	insert.done()
	return nil
}

// storedFiles are the rows of files, and how many pieces of each level are kept of those that have any.
type storedFiles struct {
	rows   map[string]*cowrie.File
	pieces map[string]map[int]int
}

// storedFiles returns what is stored of the files of this batch.
func (a *appending) storedFiles() (*storedFiles, error) {
	stored := map[string]*cowrie.File{}
	var ids []any
	shasums := map[string]bool{}
	for shasum := range a.files {
		shasums[shasum] = true
	}
	for i := range a.sightings {
		shasums[a.sightings[i].Shasum] = true
	}
	for _, shasum := range sortedKeys(shasums) {
		if f := a.kept[shasum]; f != nil {
			stored[shasum] = f
		} else {
			ids = append(ids, shasum)
		}
	}
	err := a.s.inLists(ids, func(list string, args []any) error {
		return a.each(`SELECT `+derivedColumns+` FROM files WHERE shasum `+list, args, func(scan func(...any) error) error {
			f, err := scanDerived(scan)
			if err != nil {
				return err
			}
			stored[f.Shasum] = f
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	pieces, err := a.piecesOfFiles(stored)
	return &storedFiles{stored, pieces}, err
}

// flushSources stores the positions.
func (a *appending) flushSources() {
	now := cowrie.FromStd(a.now).String()
	for _, row := range a.order {
		if row.moved || row.mark.State == nil {
			continue
		}
		a.later(`UPDATE sources SET position = $1, digest = $2, digest_state = $3, tail = $4,
			lines = lines + $5, events = events + $6, duplicates = duplicates + $7,
			dead_letters = dead_letters + $8, blank = blank + $9,
			first_event_at = `+earlier("first_event_at", "$10")+`, last_event_at = `+later("last_event_at", "$11")+`,
			updated_at = $12 WHERE id = $13`,
			row.mark.Position, row.mark.Digest, row.mark.State, row.mark.Tail,
			row.added.Lines, row.added.Events, row.added.Duplicates, row.added.DeadLetters, row.added.Blank,
			timeText(row.first), timeText(row.last), now, row.id)
	}
}
