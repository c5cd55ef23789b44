package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"midden/internal/cowrie"
)

// AddVerdicts stores what sources said of files, in one transaction, and
// returns how many of the verdicts were not there before.
func (s *Store) AddVerdicts(ctx context.Context, verdicts []cowrie.Verdict) (added int64, err error) {
	err = s.adding(ctx, func(a *appending) error {
		a.verdicts = verdicts
		if err := a.flushVerdicts(); err != nil {
			return err
		}
		added = a.verdictsAdded
		return nil
	})
	return added, err
}

// flushVerdicts stores what was said of files, and brings the files up to
// date of which something was ever said.
func (a *appending) flushVerdicts() error {
	for i := range a.verdicts {
		v := &a.verdicts[i]
		body, bodyOf, err := a.bodyToKeep(v)
		if err != nil {
			return err
		}
		n, err := a.changed(`INSERT INTO file_verdicts (shasum, source, observed_at, known, analysed_at, first_submission_at, malicious,
			suspicious, undetected, harmless, total, classification, description, body, body_of)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING`,
			v.Shasum, v.Source, v.ObservedAt.String(), v.Known(), timeText(v.AnalysedAt), timeText(v.FirstSubmission),
			engines(v.Malicious), engines(v.Suspicious), engines(v.Undetected), engines(v.Harmless), engines(v.Total),
			orNull(v.Classification), orNull(v.Description), body, bodyOf)
		if err != nil {
			return err
		}
		a.verdictsAdded += n
		if n > 0 {
			if err := a.changedVerdict(v); err != nil {
				return err
			}
		}
		if n > 0 && !a.answered {
			if err := a.exec(`UPDATE lookups SET state = 'new', due_at = NULL, failures = 0, error = NULL
				WHERE source = $1 AND shasum = $2 AND state IN ('waiting', 'failed')`, cowrie.Asked(v.Source), v.Shasum); err != nil {
				return err
			}
		}
	}
	if a.s.shadow {
		if a.verdictsAdded == 0 {
			return nil
		}
		// Somebody else may have brought enrichment into the open meanwhile.
		return a.exec(noteShadow, shadowKey)
	}
	any := false
	if err := a.row(`SELECT EXISTS (SELECT 1 FROM file_verdicts)`, nil, &any); err != nil || !any {
		return err
	}
	touched := map[string]bool{}
	for shasum := range a.files {
		touched[shasum] = true
	}
	for i := range a.verdicts {
		touched[a.verdicts[i].Shasum] = true
		if err := a.changedFile(a.verdicts[i].Shasum); err != nil {
			return err
		}
	}
	for _, shasum := range sortedKeys(touched) {
		a.later(showVerdicts+` WHERE shasum = $1 AND `+hasVerdicts, shasum)
	}
	return nil
}

// engines is a number of engines; NULL if it was not said.
func engines(n int) any { return orNull64(int64(n), n < 0) }

// bodyToKeep returns the answer behind a verdict, compressed, or the verdict that
// has the same one already.
func (a *appending) bodyToKeep(v *cowrie.Verdict) (body, of any, err error) {
	if v.Body == nil {
		return nil, nil, nil
	}
	var stored bool
	if err := a.row(`SELECT EXISTS (SELECT 1 FROM file_verdicts WHERE shasum = $1 AND source = $2 AND observed_at = $3)`,
		[]any{v.Shasum, v.Source, v.ObservedAt.String()}, &stored); err != nil || stored {
		return nil, nil, err
	}
	packed := a.s.seal.seal(v.Body).blob
	var same int64
	err = a.row(`SELECT id FROM file_verdicts WHERE shasum = $1 AND source = $2 AND body = $3 LIMIT 1`,
		[]any{v.Shasum, v.Source, packed}, &same)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return packed, nil, nil
	case err != nil:
		return nil, nil, err
	}
	return nil, same, nil
}

// ofVirusTotal holds for verdicts v that tell what VirusTotal says. The columns of
// files are of those alone: what others say stands beside it, in the history.
var ofVirusTotal = `v.source IN ('` + strings.Join(cowrie.OfVirusTotal, `', '`) + `')`

// hasVerdicts holds for files of which VirusTotal said something. The empty file
// is known for what it is.
var hasVerdicts = `enrichment_status <> 'ignored' AND EXISTS (SELECT 1 ` + verdictsOfFile + `)`

var verdictsOfFile = `FROM file_verdicts v WHERE v.shasum = files.shasum AND ` + ofVirusTotal

// showVerdicts writes into files what VirusTotal said of them last: by the latest
// analysis, which is not always what was observed last, since it may answer with
// an older one. Not every verdict tells a label and a type: those are what one
// told last, but a file that nobody flags any more has no label.
var showVerdicts = `UPDATE files SET
	vt_checked_at = (SELECT max(observed_at) ` + verdictsOfFile + `),
	(vt_malicious, vt_total, vt_last_analysis, enrichment_status) =
		(SELECT malicious, total, analysed_at, CASE WHEN known THEN 'known' ELSE 'unknown' END ` + latestVerdict + `),
	vt_classification = CASE WHEN (SELECT malicious ` + latestVerdict + `) = 0 THEN NULL ELSE
		(SELECT classification ` + verdictsOfFile + ` AND classification IS NOT NULL
			ORDER BY observed_at DESC, source LIMIT 1) END,
	vt_description = (SELECT description ` + verdictsOfFile + `
		AND description IS NOT NULL ORDER BY observed_at DESC, source LIMIT 1),
	vt_first_seen = (SELECT min(first_submission_at) ` + verdictsOfFile + `)`

// That the file is not known counts if nothing was said later.
var latestVerdict = verdictsOfFile + `
	ORDER BY CASE WHEN known THEN 1 WHEN observed_at = (SELECT max(observed_at) ` + verdictsOfFile + `) THEN 0 ELSE 2 END,
	coalesce(analysed_at, observed_at) DESC, observed_at DESC, source LIMIT 1`

// TakenOverKey is the key in schema_state under which it stands from which
// version of cowrieprocessor a database was taken over.
const TakenOverKey = "taken_over_from"

// shadowKey is the key in schema_state that stands there while the columns of
// files do not show what the verdicts say.
const shadowKey = "verdicts_in_shadow"

const noteShadow = `INSERT INTO schema_state ("key", value) VALUES ($1, 'true') ON CONFLICT ("key") DO NOTHING`

// Staging says whether enrichment is in the open, where reports see it.
type Staging struct {
	On        bool   // the columns of files show what the verdicts say
	TakenOver string // from which version the database was taken over; "" if midden made it
	Behind    bool   // they are to show it, but were not brought up to date yet
}

// Staging returns how enrichment is staged. on is the user's choice, if set;
// without one it is on, but for a database that was taken over.
func (s *Store) Staging(ctx context.Context, on, set bool) (Staging, error) {
	st, _, err := s.staging(ctx, on, set)
	return st, err
}

// staging also returns whether it is noted that the columns of files do not
// show what the verdicts say.
func (s *Store) staging(ctx context.Context, on, set bool) (st Staging, shadow bool, err error) {
	err = s.each(ctx, `SELECT "key", value FROM schema_state WHERE "key" IN ($1, $2)`, []any{TakenOverKey, shadowKey},
		func(scan func(...any) error) error {
			var key, value string
			if err := scan(&key, &value); err != nil {
				return err
			}
			if key == TakenOverKey {
				st.TakenOver = value
			} else {
				shadow = true
			}
			return nil
		})
	st.On = on
	if !set {
		st.On = st.TakenOver == ""
	}
	st.Behind = st.On && shadow
	return st, shadow, err
}

// Stage puts enrichment into the open or into the shadow for what this store
// will write, as Staging says. Where it comes into the open, the columns of
// files are brought up to date.
func (s *Store) Stage(ctx context.Context, on, set bool) error {
	st, shadow, err := s.staging(ctx, on, set)
	if err != nil {
		return err
	}
	s.shadow = !st.On
	if st.On != shadow {
		return nil // it stands there as it should
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if !st.On {
			_, err := tx.ExecContext(ctx, noteShadow, shadowKey)
			return err
		}
		if _, err := tx.ExecContext(ctx, showVerdicts+` WHERE `+hasVerdicts); err != nil {
			return fmt.Errorf("show verdicts: %w", err)
		}
		err := s.addingTo(ctx, tx, func(a *appending) error { return a.changedFiles(hasVerdicts) })
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM schema_state WHERE "key" = $1`, shadowKey)
		return err
	})
}
