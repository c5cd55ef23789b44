package store

import (
	"context"
	"fmt"

	"midden/internal/cowrie"
)

// SessionFilter says which sessions. The zero value of a field asks for
// nothing.
type SessionFilter struct {
	Since, Until cowrie.Time // of its first event; NoTime asks for nothing
	Sensor       string
	SrcIP        string
	Protocol     string
	Shasum       string // a file that it brought or took
	Command      string // part of a command, or a pattern with * and ?
	Username     string
	Password     string
	Files        bool // only sessions with files
	Commands     bool // only sessions with commands
	Flagged      bool // only sessions with files that an engine flags
	Limit        int  // 0: all
}

const sessionColumns = `s.session_id, s.first_event_at, s.last_event_at, s.event_count, s.command_count,
	s.file_downloads, s.login_attempts, s.sensor, s.src_ip, s.protocol, s.duration_ms, s.client_version, s.hassh,
	s.username, s.password, s.login_at, s.login_successes, s.file_uploads, s.failed_transfers, s.shared_id, s.segments, s.segment_events`

func scanSession(scan func(...any) error) (*cowrie.Session, segmentSet, int64, error) {
	s := &cowrie.Session{Duration: -1}
	var duration *int64
	var segments string
	var inSegments int64
	err := scan(&s.ID, scanTime{&s.First}, scanTime{&s.Last}, &s.Events, &s.Commands, &s.Downloads, &s.LoginAttempts,
		scanText{&s.Sensor}, scanText{&s.SrcIP}, scanText{&s.Protocol}, &duration, scanText{&s.ClientVersion},
		scanText{&s.HASSH}, scanText{&s.Username}, scanText{&s.Password}, scanTime{&s.LoginAt}, &s.LoginSuccesses,
		&s.Uploads, &s.FailedTransfers, &s.SharedID, scanText{&segments}, &inSegments)
	if err != nil {
		return nil, nil, 0, err
	}
	if duration != nil {
		s.Duration = *duration
	}
	set, err := parseSegments(segments)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("session %s: %w", s.ID, err)
	}
	return s, set, inSegments, nil
}

// Session is a session, and how many of its files an engine flags: that is asked
// of the files each time, since what is said of one changes for all its sessions.
type Session struct {
	cowrie.Session
	FlaggedFiles int64
}

const flaggedFiles = `(SELECT count(DISTINCT x.shasum) FROM file_sightings x JOIN files f ON f.shasum = x.shasum
	WHERE x.session_id = s.session_id AND f.vt_malicious > 0)`

// Sessions calls f for each session that fits, the newest first.
func (s *Store) Sessions(ctx context.Context, q SessionFilter, f func(*Session) error) error {
	var where conditions
	where.times("s.first_event_at", cowrie.Time.SQL, q.Since, q.Until)
	for _, equal := range []struct{ column, value string }{
		{"s.sensor", q.Sensor}, {"s.src_ip", q.SrcIP}, {"s.protocol", q.Protocol},
		{"s.username", q.Username}, {"s.password", q.Password},
	} {
		if equal.value != "" {
			where.add(equal.column+" = ?", equal.value)
		}
	}
	if q.Shasum != "" {
		where.add("s.session_id IN (SELECT session_id FROM file_sightings WHERE shasum = ?)", q.Shasum)
	}
	if q.Command != "" {
		where.add(`EXISTS (SELECT 1 FROM command_stats c WHERE c.session_id = s.session_id
			AND `+s.like("c.command_normalized")+`)`, likePattern(q.Command))
	}
	if q.Files {
		where.add("s.file_downloads + s.file_uploads > 0")
	}
	if q.Commands {
		where.add("s.command_count > 0")
	}
	if q.Flagged {
		where.add(`s.session_id IN (SELECT x.session_id FROM files f JOIN file_sightings x ON x.shasum = f.shasum WHERE f.vt_malicious > 0)`)
	}
	query := `SELECT ` + flaggedFiles + `, ` + sessionColumns + ` FROM session_summaries s` + where.clause() +
		` ORDER BY s.first_event_at DESC NULLS LAST, s.session_id` + limit(q.Limit)
	return s.each(ctx, query, where.args, func(scan func(...any) error) error {
		var session Session
		one, _, _, err := scanSession(func(into ...any) error { return scan(append([]any{&session.FlaggedFiles}, into...)...) })
		if err != nil {
			return err
		}
		session.Session = *one
		return f(&session)
	})
}

// Session returns one session. The error is ErrNotFound if there is none.
func (s *Store) Session(ctx context.Context, id string) (*Session, error) {
	one, _, err := s.session(ctx, id)
	if err != nil {
		return nil, err
	}
	session := &Session{Session: *one}
	err = s.db.QueryRowContext(ctx, `SELECT `+flaggedFiles+` FROM session_summaries s WHERE s.session_id = $1`, id).Scan(&session.FlaggedFiles)
	return session, s.explain(err)
}

func (s *Store) session(ctx context.Context, id string) (session *cowrie.Session, set segmentSet, err error) {
	err = s.each(ctx, `SELECT `+sessionColumns+` FROM session_summaries s WHERE s.session_id = $1`, []any{id},
		func(scan func(...any) error) error {
			session, set, _, err = scanSession(scan)
			return err
		})
	if err == nil && session == nil {
		err = fmt.Errorf("%w: there is no session %s", ErrNotFound, id)
	}
	return session, set, err
}
