package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"midden/internal/cowrie"
)

// The name under which a files table that is not midden's is kept.
const oldFilesTable = "files_cowrieprocessor"

// oldShape is a files table as a release of cowrieprocessor made it. Each
// column is an expression over it.
type oldShape struct {
	name                                string
	needs                               []string
	shasum, classification, description string
	malicious, flag, total              string
	submission, analysedAt              string
	observedAt                          []string // the first that holds a time counts
}

var oldShapes = []oldShape{
	{
		name: "of a later release", needs: []string{"shasum", "vt_positives", "vt_classification"},
		shasum: "shasum", classification: "vt_classification", description: "vt_description",
		malicious: "vt_positives", flag: "vt_malicious", total: "vt_total", submission: "vt_first_seen", analysedAt: "vt_last_analysis",
		observedAt: []string{"last_updated", "vt_scan_date", "vt_last_analysis", "vt_first_seen", "first_seen"},
	},
	{
		name: "of the oldest scripts", needs: []string{"hash", "vt_hits", "vt_description"},
		shasum: "hash", classification: "vt_threat_classification", description: "vt_description",
		malicious: "vt_hits", flag: "NULL", total: "NULL", submission: "vt_first_submission", analysedAt: "NULL",
		observedAt: []string{"added", "vt_first_submission"},
	},
}

// aside keeps a files table that is not midden's under another name.
func (l *looking) aside() error {
	columns, err := l.columns("files")
	if err != nil || len(columns) == 0 || slices.Contains(columns, "sighting_count") {
		return err
	}
	f := &l.plan.Found
	f.OldFiles = "of an unknown kind"
	if shape := shapeOf(columns); shape != nil {
		f.OldFiles = shape.name
	}
	if f.OldFileRows, err = l.int(`SELECT count(*) FROM files`); err != nil {
		return err
	}
	taken, err := l.columns(oldFilesTable)
	if err != nil {
		return err
	}
	if len(taken) > 0 {
		return fmt.Errorf("there are two old tables of files, files and %s: rename the latter and try again", oldFilesTable)
	}
	rename := []string{`ALTER TABLE files RENAME TO ` + oldFilesTable}
	// Indexes keep their names, and one name is needed.
	indexes, err := l.texts(`SELECT name FROM pragma_index_list('files') WHERE name = 'ix_files_last_seen'`)
	if err != nil {
		return err
	}
	for _, name := range indexes {
		rename = append(rename, `DROP INDEX `+name)
	}
	l.add(Step{Name: "old files table", What: fmt.Sprintf("keep the table files (%s, %d rows) as %s", f.OldFiles, f.OldFileRows, oldFilesTable),
		run: statements(rename...)})
	return nil
}

func shapeOf(columns []string) *oldShape {
	for i := range oldShapes {
		if !slices.ContainsFunc(oldShapes[i].needs, func(c string) bool { return !slices.Contains(columns, c) }) {
			return &oldShapes[i]
		}
	}
	return nil
}

// oldVerdicts makes verdicts of what an old files table says of VirusTotal.
func (l *looking) oldVerdicts() error {
	columns, err := l.columns("files")
	if err != nil {
		return err
	}
	if l.plan.Found.OldFiles == "" { // set aside by an earlier run, perhaps
		if columns, err = l.columns(oldFilesTable); err != nil || len(columns) == 0 {
			return err
		}
		if l.plan.Found.OldFileRows, err = l.int(`SELECT count(*) FROM ` + oldFilesTable); err != nil {
			return err
		}
	}
	shape := shapeOf(columns)
	if shape == nil {
		return nil
	}
	rows := l.plan.Found.OldFileRows
	l.add(Step{Name: "old verdicts", What: "note what " + oldFilesTable + " says of VirusTotal as verdicts of the source " + cowrie.SourceFiles,
		Disk: rows * 150, Seconds: float64(rows) / 50e3,
		run: func(ctx context.Context, db *sql.DB) error { return shape.convert(ctx, db, columns) }})
	return nil
}

// convertRows is how many verdicts are stored in a transaction. To store one
// twice adds nothing.
const convertRows = 1000

// convert makes verdicts of the old rows, in the same database.
func (s *oldShape) convert(ctx context.Context, db *sql.DB, columns []string) error {
	return s.each(ctx, db, oldFilesTable, columns, func(verdicts []cowrie.Verdict) error {
		return inTx(func(ctx context.Context, tx *sql.Tx) error { return insertVerdicts(ctx, tx, verdicts) })(ctx, db)
	})
}

// OldVerdicts calls f for what an old files table of a database of cowrieprocessor
// says of VirusTotal, some verdicts at a time; there need not be such a table.
func OldVerdicts(ctx context.Context, db *sql.DB, f func([]cowrie.Verdict) error) error {
	l := &looking{ctx: ctx, db: db}
	for _, table := range []string{"files", oldFilesTable} {
		columns, err := l.columns(table)
		if err != nil {
			return err
		}
		if shape := shapeOf(columns); shape != nil {
			return shape.each(ctx, db, table, columns, f)
		}
	}
	return nil
}

// each calls f for the verdicts of the rows of a table, some at a time. The rows
// stand once for each session: of what is said in the same words of a file, the
// last counts.
func (s *oldShape) each(ctx context.Context, db *sql.DB, table string, columns []string, f func([]cowrie.Verdict) error) error {
	said := []string{s.shasum, s.malicious, s.flag, s.total, s.classification, s.description, s.submission, s.analysedAt}
	exprs := slices.Clone(said)
	for _, at := range s.observedAt {
		exprs = append(exprs, "max("+at+")")
	}
	for i, e := range slices.Concat(said, s.observedAt) {
		if !slices.Contains(columns, e) { // not every release has every column
			exprs[i] = "NULL"
		}
	}
	rows, err := db.QueryContext(ctx, `SELECT `+strings.Join(exprs, ", ")+` FROM `+table+`
		GROUP BY `+strings.Join(exprs[:len(said)], ", "))
	if err != nil {
		return err
	}
	defer rows.Close()
	var verdicts []cowrie.Verdict
	shasum, at := "", map[cowrie.Time]bool{}
	for rows.Next() {
		values := make([]any, len(exprs))
		into := make([]any, len(exprs))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if v, ok := oldVerdict(values); ok {
			// Of two at the same time both count.
			if v.Shasum != shasum {
				shasum, at = v.Shasum, map[cowrie.Time]bool{}
			}
			for at[v.ObservedAt] {
				v.ObservedAt++
			}
			at[v.ObservedAt] = true
			verdicts = append(verdicts, v)
		}
		if len(verdicts) == convertRows {
			if err := f(verdicts); err != nil {
				return err
			}
			verdicts = nil
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return f(verdicts)
}

func insertVerdicts(ctx context.Context, tx *sql.Tx, verdicts []cowrie.Verdict) error {
	st, err := tx.PrepareContext(ctx, `INSERT INTO file_verdicts (shasum, source, observed_at, known, analysed_at, first_submission_at,
		malicious, total, classification, description) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`)
	if err != nil {
		return err
	}
	defer st.Close()
	for _, v := range verdicts {
		if _, err := st.ExecContext(ctx, v.Shasum, v.Source, v.ObservedAt.String(), v.Known(), orNull(v.AnalysedAt.String()),
			orNull(v.FirstSubmission.String()), count(v.Malicious), count(v.Total), orNull(v.Classification), orNull(v.Description)); err != nil {
			return err
		}
	}
	return nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func count(n int) any {
	if n < 0 {
		return nil
	}
	return n
}

// oldVerdict reads a row of an old files table, whatever the types of its
// values. It reports false if VirusTotal is not known to have said anything.
func oldVerdict(values []any) (cowrie.Verdict, bool) {
	shasum, ok := cowrie.Shasum([]byte(oldText(values[0])))
	if !ok {
		return cowrie.Verdict{}, false
	}
	v := cowrie.NewVerdict(shasum, cowrie.SourceFiles, cowrie.NoTime)
	v.Malicious, v.Total = oldCount(values[1]), oldCount(values[3])
	if flag := oldCount(values[2]); v.Malicious < 0 && flag > 0 {
		v.Malicious = flag // a yes or no by its type, but numbers have been seen in it
	}
	v.Classification, v.Description = oldText(values[4]), oldText(values[5])
	v.FirstSubmission, v.AnalysedAt = oldTime(values[6]), oldTime(values[7])
	for _, at := range values[8:] {
		if v.ObservedAt == cowrie.NoTime {
			v.ObservedAt = oldTime(at)
		}
	}
	said := v.Malicious >= 0 || v.Classification != "" || v.FirstSubmission != cowrie.NoTime || v.AnalysedAt != cowrie.NoTime
	if v.ObservedAt == cowrie.NoTime {
		v.ObservedAt = 0 // it must stand somewhere in the history: at its beginning
	}
	if v.Total >= 0 && v.Malicious < 0 {
		v.Malicious = 0
	}
	if v.Total < v.Malicious {
		v.Total = -1
	}
	return v, said
}

// maxOldText is how much of a text of an old table is kept, in bytes.
const maxOldText = 256

func oldText(v any) string {
	s := ""
	switch v := v.(type) {
	case string:
		s = v
	case []byte:
		s = string(v)
	}
	s = strings.TrimSpace(s)
	if len(s) > maxOldText {
		s = strings.ToValidUTF8(s[:maxOldText-len("…")], "") + "…"
	}
	return s
}

func oldCount(v any) int {
	n := int64(-1)
	switch v := v.(type) {
	case int64:
		n = v
	case float64:
		n = int64(v)
	case bool:
		n = 0
		if v {
			n = 1
		}
	case string, []byte:
		var err error
		if n, err = strconv.ParseInt(oldText(v), 10, 64); err != nil {
			n = -1
		}
	}
	if n < 0 || n > 1e6 {
		return -1
	}
	return int(n)
}

func oldTime(v any) cowrie.Time {
	seconds := int64(0)
	switch v := v.(type) {
	case time.Time:
		return cowrie.FromStd(v)
	case int64:
		seconds = v
	case float64:
		seconds = int64(v)
	case string, []byte:
		text := oldText(v)
		if t, ok := cowrie.ParseTime([]byte(text)); ok {
			return t
		}
		if t, ok := cowrie.ParseTime([]byte(text + "T00:00:00")); ok {
			return t
		}
		seconds, _ = strconv.ParseInt(text, 10, 64)
	}
	if seconds <= 0 || seconds > 1e11 {
		return cowrie.NoTime
	}
	return cowrie.FromStd(time.Unix(seconds, 0))
}
