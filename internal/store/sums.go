package store

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"maps"
	"slices"
	"strings"

	"midden/internal/cowrie"
)

// What the sessions that began on a day add up to is kept in session_sums, from the first of
// them on, or from when a report has counted them (ClaimDays). Whoever stores sessions adds
// what changed, in the same transaction, or forgets the day.

// keptDays returns those of the days of sessions that are about to be stored of which the sums
// are kept. It is to be asked before any of them is.
func (a *appending) keptDays(order []*sessionRow) (map[cowrie.Time]bool, error) {
	kept := map[cowrie.Time]bool{}
	for _, row := range order {
		kept[cowrie.Day(row.session.First)] = false
		if row.known {
			kept[cowrie.Day(row.was.First)] = false
		}
	}
	delete(kept, cowrie.NoTime)
	var list []any
	for day := range kept {
		list = append(list, dayText(day))
	}
	stale := map[cowrie.Time]bool{}
	old, err := a.anyRaw() // see oldAtWork
	if err != nil {
		return nil, err
	}
	err = a.s.inLists(list, func(list string, args []any) error {
		return a.each(`SELECT day, version, maker IS NULL FROM report_days WHERE day `+list, args, func(scan func(...any) error) error {
			var day cowrie.Time
			var version int
			var whole bool
			if err := scan(scanDay{&day}, &version, &whole); err != nil {
				return err
			}
			kept[day] = whole && version == cowrie.SumsVersion && !old
			stale[day] = !kept[day]
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	for _, day := range slices.Sorted(maps.Keys(kept)) {
		if kept[day] {
			continue
		}
		if stale[day] {
			a.forgetDay(day)
		}
		if old {
			continue
		}
		if kept[day], err = a.beginDay(day); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// beginDay begins to keep the sums of a day, if no session is stored that began on it.
func (a *appending) beginDay(day cowrie.Time) (begun bool, err error) {
	if err := a.row(noSessions, whenBegun(day), &begun); err != nil || !begun {
		return false, err
	}
	a.later(`INSERT INTO report_days (day, version) VALUES ($1, $2)`, dayText(day), cowrie.SumsVersion)
	return true, nil
}

// noSessions asks whether no session is stored that began on a day.
const noSessions = `SELECT NOT EXISTS (SELECT 1 FROM session_summaries WHERE first_event_at BETWEEN $1 AND $2)`

func whenBegun(day cowrie.Time) []any {
	return []any{day.SQL(), (day + cowrie.DayLength - 1).SQL()}
}

// forgetDay deletes what is kept of a day, and what a report has claimed.
func (a *appending) forgetDay(day cowrie.Time) {
	a.later(`DELETE FROM session_sums WHERE day = $1`, dayText(day))
	a.later(`DELETE FROM report_days WHERE day = $1`, dayText(day))
}

// keptSums is by how much what sessions add up to changes, of days that are kept; and how many
// pieces there are of each level.
type keptSums struct {
	sums   map[cowrie.DayKey]*cowrie.Sums // nil of days that are not kept
	pieces map[cowrie.DayKey]map[int]int
}

func sumsKey(s *cowrie.Session) cowrie.DayKey {
	return cowrie.DayKey{Day: cowrie.Day(s.First), Sensor: s.Sensor}
}

// keptSums returns the changes by sessions that were there. It is to be asked before any session
// is stored.
func (a *appending) keptSums(order []*sessionRow) (*keptSums, error) {
	days, err := a.keptDays(order)
	if err != nil {
		return nil, err
	}
	kept := &keptSums{sums: map[cowrie.DayKey]*cowrie.Sums{}}
	of := func(s *cowrie.Session) *cowrie.Sums {
		key := sumsKey(s)
		if days[key.Day] && kept.sums[key] == nil {
			kept.sums[key] = &cowrie.Sums{}
		}
		return kept.sums[key]
	}
	var changed []commandChange // of sessions that may have run commands before
	for _, row := range order {
		now := of(row.session)
		if !row.known {
			continue
		}
		if now != nil {
			now.Add(row.session, row.flagged, 1)
		}
		was := of(row.was)
		if was != nil {
			was.Add(row.was, row.flagged, -1)
		}
		if was != now || row.derived || len(row.delta) > 0 {
			changed = append(changed, commandChange{row, was, now})
		}
	}
	if kept.pieces, err = a.pieces(maps.Keys(kept.sums)); err != nil {
		return nil, err
	}
	return kept, a.addCommands(changed)
}

// commandChange is a session that was there, whose commands are to be taken away from some sums
// and added to others; either is nil if it is not kept.
type commandChange struct {
	*sessionRow
	from, to *cowrie.Sums
}

func (a *appending) addCommands(changed []commandChange) error {
	changes := map[string]commandChange{}
	var ids []any
	for _, c := range changed {
		// Of a session without commands none are counted, whatever cowrieprocessor left.
		if c.was.Commands == 0 {
			c.from = nil
		}
		if c.session.Commands == 0 {
			c.to = nil
		}
		if c.from == nil && c.to == nil {
			continue
		}
		id := c.session.ID
		changes[id], ids = c, append(ids, id)
		if c.to != nil {
			for text, stat := range c.added() {
				c.to.AddCommand(id, text, stat.Occurrences, 1)
			}
		}
	}
	return a.s.inLists(ids, func(list string, args []any) error {
		return a.each(`SELECT session_id, command_normalized, occurrences FROM command_stats WHERE session_id `+list, args, func(scan func(...any) error) error {
			var id, text string
			var n int64
			if err := scan(&id, &text, &n); err != nil {
				return err
			}
			c := changes[id]
			if c.from != nil {
				c.from.AddCommand(id, text, -n, -1)
			}
			switch {
			case c.to == nil || c.derived:
			case c.delta[text] != nil:
				c.to.AddCommand(id, text, n, 0)
			default:
				c.to.AddCommand(id, text, n, 1)
			}
			return nil
		})
	})
}

// added are the commands that are added to those that are stored, or take their place.
func (c *commandChange) added() map[string]*cowrie.CommandStat {
	if c.derived {
		return c.session.CommandStats
	}
	return c.delta
}

// mostPieces is how many pieces of a level are kept: one more, and they become one of the next
// level. So there are few, and each byte is written a few times only.
const mostPieces = 7

// addSums adds to what is kept of days, sessions that are new, too.
func (a *appending) addSums(kept *keptSums, order []*sessionRow) error {
	for _, row := range order {
		s := row.session
		if sums := kept.sums[sumsKey(s)]; sums != nil && !row.known {
			sums.Add(s, row.flagged, 1)
			for text, c := range s.CommandStats {
				sums.AddCommand(s.ID, text, c.Occurrences, 1)
			}
		}
	}
	forgotten := map[cowrie.Time]bool{}
	for _, key := range slices.SortedFunc(maps.Keys(kept.sums), compareDays) {
		body := kept.sums[key].Pack()
		if forgotten[key.Day] || body == nil {
			continue
		}
		if err := a.addPiece(sumsOfDay(key), body, kept.pieces[key]); errors.Is(err, errDamagedSums) {
			forgotten[key.Day] = true
			a.forgetDay(key.Day)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// sumsOf is a thing that pieces are kept of: rows of a table that have its key.
type sumsOf struct {
	table   string
	columns []string
	key     []any
}

func sumsOfDay(key cowrie.DayKey) sumsOf {
	return sumsOf{"session_sums", []string{"day", "sensor"}, []any{dayText(key.Day), key.Sensor}}
}

// where is the condition for its rows, with the key as parameters.
func (of sumsOf) where() string {
	parts := make([]string, len(of.columns))
	for i, column := range of.columns {
		parts[i] = fmt.Sprintf("%s = $%d", column, i+1)
	}
	return strings.Join(parts, " AND ")
}

// addPiece adds a piece to those of a thing, of which there are so many of each level.
func (a *appending) addPiece(of sumsOf, body []byte, pieces map[int]int) error {
	level := 0
	for pieces[level] >= mostPieces {
		level++
	}
	if level > 0 {
		lower := of.where() + fmt.Sprintf(" AND level < %d", level)
		bodies := [][]byte{body}
		err := a.each(`SELECT body FROM `+of.table+` WHERE `+lower, of.key, func(scan func(...any) error) error {
			var packed sql.RawBytes
			if err := scan(&packed); err != nil {
				return err
			}
			body, err := a.s.openSums(of, packed)
			bodies = append(bodies, body)
			return err
		})
		if err != nil {
			return err
		}
		if body, err = cowrie.MergeSums(bodies...); err != nil {
			return damagedSums(of, err)
		}
		a.later(`DELETE FROM `+of.table+` WHERE `+lower, of.key...)
	}
	if body == nil {
		return nil
	}
	a.later(`INSERT INTO `+of.table+` (`+strings.Join(of.columns, ", ")+`, level, piece, body)
		VALUES (`+placeholders(len(of.columns)+3)+`)`, append(slices.Clone(of.key), level, pieces[level], a.s.sealSums(body))...)
	return nil
}

// pieces returns how many pieces there are of each level.
func (a *appending) pieces(keys iter.Seq[cowrie.DayKey]) (map[cowrie.DayKey]map[int]int, error) {
	pieces := map[cowrie.DayKey]map[int]int{}
	err := a.ofDays(keys, `SELECT day, sensor, level, count(*) FROM session_sums WHERE `, ` GROUP BY day, sensor, level`,
		func(scan func(...any) error) error {
			var key cowrie.DayKey
			var level, n int
			err := scan(scanDay{&key.Day}, &key.Sensor, &level, &n)
			if pieces[key] == nil {
				pieces[key] = map[int]int{}
			}
			pieces[key][level] = n
			return err
		})
	return pieces, err
}

// sealSums returns packed sums as a column holds them: compressed, with their checksum behind.
func (s *Store) sealSums(body []byte) []byte {
	seg := s.seal.seal(body)
	return binary.BigEndian.AppendUint32(seg.blob, seg.checksum)
}

func (s *Store) openSums(of sumsOf, packed []byte) ([]byte, error) {
	n := max(len(packed)-4, 0)
	body, err := s.seal.dec.DecodeAll(packed[:n], nil)
	if err == nil && (n == 0 || crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(packed[n:])) {
		err = errors.New("its checksum is wrong")
	}
	if err != nil {
		return nil, damagedSums(of, err)
	}
	return body, nil
}

// errDamagedSums is told by reports and verify; who loads forgets what is damaged.
var errDamagedSums = errors.New(`"midden verify --repair" puts it right`)

func damagedSums(of sumsOf, err error) error {
	name := make([]string, len(of.columns))
	for i, column := range of.columns {
		name[i] = fmt.Sprintf("%s %q", column, of.key[i])
	}
	return fmt.Errorf("%s of %s is damaged: %w: %w", of.table, strings.Join(name, ", "), err, errDamagedSums)
}
