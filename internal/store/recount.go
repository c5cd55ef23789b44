package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"

	"midden/internal/cowrie"
)

// asking is how a Store, a View, a Snapshot, or a batch on its way into the database asks for rows.
type asking func(ctx context.Context, query string, args []any, f func(scan func(...any) error) error) error

// keptSums calls f for each sensor of a day, or for one, with what its sessions add up to, in
// pieces. It reports false if that is not kept.
func (s *Store) keptSums(ctx context.Context, ask asking, day cowrie.DayKey, f func(sensor string, pieces [][]byte) error) (kept bool, err error) {
	if old, err := s.oldAtWork(ctx, ask); old || err != nil {
		return false, err
	}
	key, pieces := day, [][]byte(nil)
	tell := func() error {
		if len(pieces) == 0 {
			return nil
		}
		if err := f(key.Sensor, pieces); err != nil {
			return damagedSums(sumsOfDay(key), err)
		}
		return nil
	}
	var sensor *string
	var packed sql.RawBytes
	err = ask(ctx, `SELECT s.sensor, s.body FROM report_days d
		LEFT JOIN session_sums s ON s.day = d.day AND ($1 = '' OR s.sensor = $1)
		WHERE d.day = $2 AND d.maker IS NULL AND d.version = $3 ORDER BY s.sensor`,
		[]any{day.Sensor, dayText(day.Day), cowrie.SumsVersion}, func(scan func(...any) error) error {
			kept = true
			if err := scan(&sensor, &packed); err != nil || sensor == nil {
				return err
			}
			if *sensor != key.Sensor {
				if err := tell(); err != nil {
					return err
				}
				key.Sensor, pieces = *sensor, nil
			}
			body, err := s.openSums(sumsOfDay(key), packed)
			pieces = append(pieces, body)
			return err
		})
	if err == nil {
		err = tell()
	}
	return kept, err
}

// countSessions returns what the sessions of each sensor add up to that began in a span, packed.
func countSessions(ctx context.Context, ask asking, span cowrie.Span) (map[string][]byte, error) {
	all := map[string]*cowrie.Sums{}
	of := func(sensor string) *cowrie.Sums {
		if all[sensor] == nil {
			all[sensor] = &cowrie.Sums{}
		}
		return all[sensor]
	}
	where := within("first_event_at", "sensor", cowrie.Time.SQL, span)
	s := &cowrie.Session{}
	var flagged bool
	into := []any{scanTime{&s.First}, &s.Sensor, &s.SrcIP, &s.Protocol, &s.ClientVersion, &s.Duration,
		&s.Commands, &s.Downloads, &s.Uploads, &s.LoginAttempts, &s.LoginSuccesses, &flagged}
	// SQLite's driver leaves a time alone that is an expression; of another one it would look
	// for the form, which scanTime knows. What is not needed is not read: there are millions.
	err := ask(ctx, `SELECT coalesce(first_event_at, first_event_at), coalesce(sensor, ''), coalesce(src_ip, ''), coalesce(protocol, ''),
		coalesce(client_version, ''), coalesce(duration_ms, -1), command_count, file_downloads, file_uploads, login_attempts,
		login_successes, dshield_flagged FROM session_summaries`+where.clause(), where.args, func(scan func(...any) error) error {
		if err := scan(into...); err != nil {
			return err
		}
		of(s.Sensor).Add(s, flagged, 1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	where = within("s.first_event_at", "s.sensor", cowrie.Time.SQL, span)
	where.add("s.command_count > 0")
	var sensor, session, command string
	var n int64
	into = []any{&sensor, &session, &command, &n}
	err = ask(ctx, `SELECT coalesce(s.sensor, ''), c.session_id, c.command_normalized, c.occurrences
		FROM session_summaries s JOIN command_stats c ON c.session_id = s.session_id`+where.clause(), where.args,
		func(scan func(...any) error) error {
			if err := scan(into...); err != nil {
				return err
			}
			of(sensor).AddCommand(session, command, n, 1)
			return nil
		})
	packed := map[string][]byte{}
	for sensor, sums := range all {
		packed[sensor] = sums.Pack()
	}
	return packed, err
}

// WrongSums calls f for each day and sensor of which something else is kept than its sessions add
// up to.
func (sn *Snapshot) WrongSums(ctx context.Context, f func(*cowrie.WrongSums) error) error {
	var days []cowrie.Time
	err := sn.each(ctx, `SELECT day FROM report_days WHERE maker IS NULL ORDER BY day`, nil, func(scan func(...any) error) error {
		var day cowrie.Time
		err := scan(scanDay{&day})
		days = append(days, day)
		return err
	})
	for i := 0; err == nil && i < len(days); i++ {
		err = sn.wrongSums(ctx, days[i], f)
	}
	return err
}

func (sn *Snapshot) wrongSums(ctx context.Context, day cowrie.Time, f func(*cowrie.WrongSums) error) error {
	sums := map[string][]byte{}
	kept, err := sn.s.keptSums(ctx, sn.each, cowrie.DayKey{Day: day}, func(sensor string, pieces [][]byte) (err error) {
		sums[sensor], err = cowrie.MergeSums(pieces...)
		return err
	})
	damaged := errors.Is(err, errDamagedSums)
	if err != nil && !damaged || !kept {
		return err
	}
	if damaged {
		return f(&cowrie.WrongSums{DayKey: cowrie.DayKey{Day: day}, Damage: err})
	}
	counted, err := countSessions(ctx, sn.each, cowrie.Span{From: day, To: day + cowrie.DayLength})
	if err != nil {
		return err
	}
	sensors := slices.AppendSeq(slices.Collect(maps.Keys(sums)), maps.Keys(counted))
	slices.Sort(sensors)
	for _, sensor := range slices.Compact(sensors) {
		if bytes.Equal(sums[sensor], counted[sensor]) {
			continue
		}
		wrong := &cowrie.WrongSums{DayKey: cowrie.DayKey{Day: day, Sensor: sensor},
			Kept: cowrie.SessionsIn(sums[sensor]), Counted: cowrie.SessionsIn(counted[sensor])}
		if err := f(wrong); err != nil {
			return err
		}
	}
	return nil
}
