package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Questions are two questions that operators ask, answered from the logs by jq and DuckDB,
// and from a database by DuckDB and midden. All answers are the same.
type Questions struct {
	Logs      Synthetic
	Sightings int64 // of the file that is asked about
	Sessions  int   // that brought it
	JQ        Answers
	Load      Usage
	Midden    Answers
	Show      Usage // "files show" with all sightings
	Database  int64
	DuckDB    *DuckDB
}

// Answers are what it took to answer both.
type Answers struct{ Files, Sessions Usage }

// DuckDB is what it took DuckDB, from the logs and from tables of the columns that are
// asked for and more, without and with the whole line.
type DuckDB struct {
	Logs                    Answers
	Import, ImportLines     Usage
	Table, Lines            Answers
	Database, DatabaseLines int64
}

// Pays is after how many questions midden has answered sooner than jq, loading included; 0 is never.
func (q *Questions) Pays() int64 {
	won := q.JQ.Files.Wall - q.Midden.Files.Wall
	if won <= 0 {
		return 0
	}
	return int64((q.Load.Wall + won - 1) / won)
}

// The quickest that an operator would write: grep leaves few lines to understand, and sort and awk count faster
// than jq. What is a sighting, a download or an upload with a hash, each has to say for itself.
const (
	jqSighting = `select(.eventid == "cowrie.session.file_download" or .eventid == "cowrie.session.file_upload")`
	jqFiles    = `grep -rhF '"shasum"' LOGS |
  jq -r '` + jqSighting + ` | select(.shasum // "" | length == 64) | [.shasum, .timestamp] | @tsv' |
  sort |
  awk -v OFS='\t' '$1 != hash { if (n) print hash, n, first, last; hash = $1; n = 0; first = $2 }
    { n++; last = $2 } END { if (n) print hash, n, first, last }' |
  sort -t "$(printf '\t')" -k 4r | sed -n 1,50p`
	jqSessions = `grep -rhF HASH LOGS | jq -r '` + jqSighting + ` | select(.shasum == "HASH") | .session' | sort -u`

	duckFiles = `SELECT lower(shasum), count(*), strftime(min(timestamp), '%Y-%m-%dT%H:%M:%S.%fZ'), strftime(max(timestamp), '%Y-%m-%dT%H:%M:%S.%fZ')
FROM EVENTS
WHERE eventid IN ('cowrie.session.file_download', 'cowrie.session.file_upload') AND regexp_full_match(shasum, '[0-9A-Fa-f]{64}')
GROUP BY 1 ORDER BY max(timestamp) DESC LIMIT 50`
	duckSessions = `SELECT DISTINCT session FROM EVENTS
WHERE eventid IN ('cowrie.session.file_download', 'cowrie.session.file_upload') AND lower(shasum) = 'HASH' ORDER BY 1`
	// DuckDB ends at a lone half of a surrogate pair, which Cowrie writes; with ignore_errors it passes over that line.
	duckLogs = `read_json('LOGS/*/*', format = 'newline_delimited', ignore_errors = true, columns = {eventid: 'VARCHAR',
    timestamp: 'TIMESTAMP', session: 'VARCHAR', sensor: 'VARCHAR', src_ip: 'VARCHAR', username: 'VARCHAR', password: 'VARCHAR',
    input: 'VARCHAR', shasum: 'VARCHAR', url: 'VARCHAR', outfile: 'VARCHAR', destfile: 'VARCHAR', filename: 'VARCHAR', message: 'VARCHAR'})`
	duckImport      = `CREATE TABLE events AS SELECT * FROM ` + duckLogs
	duckImportLines = `CREATE TABLE events AS SELECT json->>'eventid' AS eventid, try_cast(json->>'timestamp' AS TIMESTAMP) AS timestamp, json->>'session' AS session,
    json->>'sensor' AS sensor, json->>'src_ip' AS src_ip, json->>'shasum' AS shasum, json AS line
  FROM read_json_objects('LOGS/*/*', format = 'newline_delimited', ignore_errors = true)`
)

// Commands are how jq is asked, and how DuckDB is; EVENTS is a table, or the logs.
func (*Questions) Commands() map[string]string {
	return map[string]string{"jq_files": jqFiles, "jq_sessions": jqSessions, "files": duckFiles, "sessions": duckSessions, "logs": duckLogs}
}

func (b *bench) questions(ctx context.Context) error {
	l, err := b.shared(ctx)
	if err != nil {
		return err
	}
	return b.within("questions", func(dir string) error {
		page := Questions{Logs: l.Synthetic}
		db := filepath.Join(dir, "midden.db")
		r := runs{}
		err := b.inRounds("questions: midden load", func() error {
			if err := removeDatabase(db); err != nil {
				return err
			}
			return r.measure(ctx, "load", b.midden(db, "load", l.dir))
		})
		if err != nil {
			return err
		}
		page.Load = r.of("load")
		if page.Database, err = size(db); err != nil {
			return err
		}
		s, err := findSubject(func(sql string) (string, error) { return b.sqlite(ctx, db, sql) })
		if err != nil {
			return err
		}
		about := strings.NewReplacer("LOGS", filepath.Base(l.dir), "HASH", s.shasum) // in b.dir

		files, sessions := b.midden(db, "files", "list", "--limit", "50", "-o", "jsonl"),
			b.midden(db, "sessions", "list", "--file", s.shasum, "--limit", "0", "-o", "jsonl")
		want, err := answersOfMidden(ctx, files, sessions)
		if err != nil {
			return err
		}
		page.Sightings, page.Sessions = s.sightings, len(want.sessions)
		if page.Midden.Files, err = files.repeat(ctx, 11); err != nil {
			return err
		}
		if page.Midden.Sessions, err = sessions.repeat(ctx, 11); err != nil {
			return err
		}
		if page.Show, err = b.midden(db, "files", "show", s.shasum, "--limit", "0", "-o", "json").repeat(ctx, 11); err != nil {
			return err
		}

		shell := func(command string) program {
			return program{name: "bash", args: []string{"-o", "pipefail", "-c", about.Replace(command)}, dir: b.dir}
		}
		if page.JQ, err = b.answers(ctx, "jq", want, shell(jqFiles), shell(jqSessions), b.Rounds); err != nil {
			return err
		}
		if b.duckdb != "" {
			if page.DuckDB, err = b.askDuckDB(ctx, dir, about, want); err != nil {
				return err
			}
		}
		b.page.Questions = &page
		return nil
	})
}

func (b *bench) askDuckDB(ctx context.Context, dir string, about *strings.Replacer, want answer) (*DuckDB, error) {
	page := DuckDB{}
	duckdb := func(file string, from, sql string) program {
		return program{name: b.duckdb, args: []string{file, about.Replace(strings.Replace(sql, "EVENTS", from, 1))}, dir: b.dir}
	}
	var err error
	page.Logs, err = b.answers(ctx, "DuckDB over the logs", want, duckdb("", duckLogs, duckFiles), duckdb("", duckLogs, duckSessions), b.Rounds)
	if err != nil {
		return nil, err
	}
	r := runs{}
	for _, table := range []struct {
		name, sql string
		into      *Usage
		size      *int64
		answers   *Answers
	}{
		{"columns.duckdb", duckImport, &page.Import, &page.Database, &page.Table},
		{"lines.duckdb", duckImportLines, &page.ImportLines, &page.DatabaseLines, &page.Lines},
	} {
		path := filepath.Join(dir, table.name)
		err := b.inRounds("questions: DuckDB, "+table.name, func() error {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			return r.measure(ctx, table.name, duckdb(path, "", table.sql))
		})
		if err != nil {
			return nil, err
		}
		*table.into = r.of(table.name)
		if *table.size, err = size(path); err != nil {
			return nil, err
		}
		if *table.answers, err = b.answers(ctx, "DuckDB, "+table.name, want, duckdb(path, "events", duckFiles), duckdb(path, "events", duckSessions), 11); err != nil {
			return nil, err
		}
	}
	return &page, nil
}

// answers asks both questions several times, and fails if an answer is not what is wanted.
func (b *bench) answers(ctx context.Context, who string, want answer, files, sessions program, times int) (Answers, error) {
	b.say("questions: %s", who)
	r := runs{}
	for range times {
		got, err := r.answersAsText(ctx, files, sessions)
		if err != nil {
			return Answers{}, err
		}
		if err := want.differs(got); err != nil {
			return Answers{}, fmt.Errorf("%s does not answer as midden does: %w", who, err)
		}
	}
	return Answers{r.of("files"), r.of("sessions")}, nil
}

// answer is what both questions are answered with: the files in the order of their last
// sightings, and the sessions in the order of their names.
type answer struct {
	files    []droppedFile
	sessions []string
}

type droppedFile struct {
	shasum      string
	count       int64
	first, last time.Time
}

func (a answer) differs(b answer) error {
	if len(a.files) != len(b.files) {
		return fmt.Errorf("%d files, not %d", len(b.files), len(a.files))
	}
	for i, f := range a.files {
		if g := b.files[i]; g.shasum != f.shasum || g.count != f.count || !g.first.Equal(f.first) || !g.last.Equal(f.last) {
			return fmt.Errorf("file %d is %v, not %v", i+1, g, f)
		}
	}
	if len(a.files) == 0 || len(a.sessions) == 0 {
		return errors.New("there is nothing to compare")
	}
	if !slices.Equal(a.sessions, b.sessions) {
		return fmt.Errorf("%d sessions, not the %d", len(b.sessions), len(a.sessions))
	}
	return nil
}

func answersOfMidden(ctx context.Context, files, sessions program) (a answer, err error) {
	_, err = files.lines(ctx, func(line []byte) error {
		var f struct {
			Shasum string
			Count  int64     `json:"sighting_count"`
			First  time.Time `json:"first_seen"`
			Last   time.Time `json:"last_seen"`
		}
		err := json.Unmarshal(line, &f)
		a.files = append(a.files, droppedFile{f.Shasum, f.Count, f.First, f.Last})
		return err
	})
	if err != nil {
		return a, err
	}
	_, err = sessions.lines(ctx, func(line []byte) error {
		var s struct {
			ID string `json:"session_id"`
		}
		err := json.Unmarshal(line, &s)
		a.sessions = append(a.sessions, s.ID)
		return err
	})
	slices.Sort(a.sessions)
	return a, err
}

// answersAsText reads what others print: hash, count, first and last time, divided by
// tabs, and a session a line.
func (r runs) answersAsText(ctx context.Context, files, sessions program) (a answer, err error) {
	u, err := files.lines(ctx, func(line []byte) error {
		fields := strings.Split(string(line), "\t")
		if len(fields) != 4 {
			return fmt.Errorf("%q is not hash, count, first and last time", line)
		}
		f := droppedFile{shasum: fields[0]}
		var wrong [3]error
		f.count, wrong[0] = strconv.ParseInt(fields[1], 10, 64)
		f.first, wrong[1] = time.Parse(time.RFC3339, fields[2])
		f.last, wrong[2] = time.Parse(time.RFC3339, fields[3])
		a.files = append(a.files, f)
		return errors.Join(wrong[:]...)
	})
	if err != nil {
		return a, err
	}
	r.add("files", u)
	u, err = sessions.lines(ctx, func(line []byte) error {
		a.sessions = append(a.sessions, string(line))
		return nil
	})
	r.add("sessions", u)
	return a, err
}
