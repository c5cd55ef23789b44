package bench

import (
	"context"
	"strings"
)

// Queries are what people ask of a database, each with the start of the program.
type Queries struct {
	Files, Show, Session, Sessions Usage
	Sightings                      int64 // of the file that is shown, the most frequent one
	SessionEvents                  int64 // of the session that is shown, the longest one
}

// subject is what is asked about.
type subject struct {
	shasum, session   string
	sightings, events int64
}

// sqlite asks an SQLite database by way of the shell.
func (b *bench) sqlite(ctx context.Context, db, sql string) (string, error) {
	out, _, err := program{name: "sqlite3", args: []string{"-separator", "\t", db, sql}}.output(ctx)
	return strings.TrimSpace(out), err
}

// subject finds what to ask about; ask runs a statement whose rows are columns divided by tabs.
func findSubject(ask func(sql string) (string, error)) (s subject, err error) {
	row := func(sql string, name *string, count *int64) {
		var out string
		if err != nil {
			return
		}
		if out, err = ask(sql); err != nil {
			return
		}
		var n string
		*name, n, _ = strings.Cut(out, "\t")
		*count, err = number(n)
	}
	row(`SELECT shasum, sighting_count FROM files ORDER BY sighting_count DESC, shasum LIMIT 1`, &s.shasum, &s.sightings)
	row(`SELECT session_id, event_count FROM session_summaries ORDER BY event_count DESC, session_id LIMIT 1`, &s.session, &s.events)
	return s, err
}

// queries asks a database what people ask, and returns the medians of several times.
func (b *bench) queries(ctx context.Context, db string, s subject, times int) (Queries, error) {
	q := Queries{Sightings: s.sightings, SessionEvents: s.events}
	for _, question := range []struct {
		into *Usage
		args []string
	}{
		{&q.Files, []string{"files", "list", "--limit", "50"}},
		{&q.Show, []string{"files", "show", s.shasum}},
		{&q.Session, []string{"sessions", "show", s.session}},
		{&q.Sessions, []string{"sessions", "list", "--limit", "50"}},
	} {
		var err error
		if *question.into, err = b.midden(db, question.args...).repeat(ctx, times); err != nil {
			return q, err
		}
	}
	return q, nil
}
