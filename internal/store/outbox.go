package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"midden/internal/cowrie"
)

// outbox is what a batch notes there, in the transaction of the changes themselves:
// each thing once, all with one revision. Where nobody publishes nothing is noted.
type outbox struct {
	revision int64 // 0 until something is to be noted; -1 if nobody publishes
	insert   *inserter
	noted    map[[2]string]bool
}

// publishes reports whether changes are to be noted.
func (a *appending) publishes() (bool, error) {
	o := &a.outbox
	if o.revision == 0 {
		err := a.row(`UPDATE publishing SET revision = revision + 1 RETURNING revision`, nil, &o.revision)
		if errors.Is(err, sql.ErrNoRows) {
			o.revision, err = -1, nil
		}
		if err != nil {
			return false, err
		}
		o.insert = a.insert("outbox", "kind", `"key"`, "revision", "body")
		o.insert.tail = newRevision
		o.noted = map[[2]string]bool{}
	}
	return o.revision > 0, nil
}

const newRevision = ` ON CONFLICT (kind, "key") DO UPDATE SET revision = excluded.revision, body = excluded.body, problem = NULL`

func (a *appending) note(kind, key string, body any) {
	if o := &a.outbox; !o.noted[[2]string{kind, key}] {
		o.noted[[2]string{kind, key}] = true
		o.insert.row(kind, key, o.revision, body)
	}
}

func (a *appending) changedFile(shasum string) error {
	if on, err := a.publishes(); err != nil || !on {
		return err
	}
	a.note(cowrie.KindFile, shasum, nil)
	return nil
}

// changedFiles notes all files that fit a condition.
func (a *appending) changedFiles(where string) error {
	if on, err := a.publishes(); err != nil || !on {
		return err
	}
	return a.exec(`INSERT INTO outbox (kind, "key", revision) SELECT '`+cowrie.KindFile+`', shasum, $1 FROM files WHERE `+where+newRevision, a.outbox.revision)
}

func (a *appending) changedSighting(session string, key []byte) error {
	if on, err := a.publishes(); err != nil || !on {
		return err
	}
	a.note(cowrie.KindSighting, sightingName(session, key), nil)
	return nil
}

func (a *appending) changedVerdict(v *cowrie.Verdict) error {
	if on, err := a.publishes(); err != nil || !on {
		return err
	}
	a.note(cowrie.KindVerdict, verdictName(v.Shasum, v.ObservedAt, v.Source), nil)
	return nil
}

// QueueReport puts a report, JSON, into the outbox, in place of one that was not sent
// yet. It reports false if nothing is published from this database.
func (s *Store) QueueReport(ctx context.Context, kind, id string, body []byte) (queued bool, err error) {
	err = s.adding(ctx, func(a *appending) error {
		if queued, err = a.publishes(); err != nil || !queued {
			return err
		}
		a.note(cowrie.KindReport, cowrie.ReportKey(kind, id), string(body))
		return nil
	})
	return queued, err
}

// What names a sighting and a verdict in the outbox: what is unique in their tables.

func sightingName(session string, key []byte) string {
	return hex.EncodeToString(key) + "/" + session
}

func parseSightingName(name string) (session string, key []byte, err error) {
	digits, session, ok := strings.Cut(name, "/")
	key, err = hex.DecodeString(digits)
	if !ok || err != nil {
		return "", nil, fmt.Errorf("outbox: %q names no sighting", name)
	}
	return session, key, nil
}

func verdictName(shasum string, at cowrie.Time, source string) string {
	return shasum + "/" + at.String() + "/" + source
}

func parseVerdictName(name string) (shasum, at, source string, err error) {
	parts := strings.SplitN(name, "/", 3)
	if len(parts) != 3 {
		return "", "", "", fmt.Errorf("outbox: %q names no verdict", name)
	}
	return parts[0], parts[1], parts[2], nil
}
