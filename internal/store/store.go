// Package store keeps what midden knows, in SQL tables.
//
// Chunks of logs come in and are appended, each batch in one transaction with
// the position it was read to; events, sessions, files, sightings and dead
// letters go out. How events lie on disk is known here and nowhere else. The
// store never adds anything twice: an event that it has already is a
// duplicate, whatever file it comes from.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"midden/internal/cowrie"
)

// ErrLocked says that another process has been writing for so long that
// waiting was given up.
var ErrLocked = errors.New("the database is locked by another process")

// ErrUnavailable says that the database could not be reached, or gave up what it
// was doing, for a reason that may pass. What was not committed is undone; it
// can be tried again as a whole. It is what a loader waits for.
var ErrUnavailable = cowrie.ErrUnavailable

// ErrNotFound says that there is nothing under that name.
var ErrNotFound = errors.New("not found")

// ErrAmbiguous says that a prefix fits more than one hash.
var ErrAmbiguous = errors.New("ambiguous")

// HeldError says that another process is at work on the same database, and only
// one may be. It is an ErrLocked.
type HeldError struct{ By string }

func (e *HeldError) Error() string {
	by := e.By
	if by == "" {
		by = "another midden"
	}
	return "the database is being worked on: " + by
}

func (e *HeldError) Is(target error) bool { return target == ErrLocked }

// SchemaError says that a database is of a version that cannot be used.
type SchemaError struct {
	Database string
	Version  int // -1: it is not a database of ours at all
	Latest   int
	Mend     string // what to do about an older version; "" if "midden migrate" upgrades it
}

func (e *SchemaError) Error() string {
	switch {
	case e.Version < 0:
		return fmt.Sprintf("%s is not a database of midden or cowrieprocessor", e.Database)
	case e.Version > e.Latest:
		return fmt.Sprintf("%s has schema version %d, this midden knows up to %d: use a newer midden, if it is midden's; later releases of cowrieprocessor cannot be taken over", e.Database, e.Version, e.Latest)
	}
	if e.Mend != "" {
		return fmt.Sprintf("%s has schema version %d, this midden works on %d: %s", e.Database, e.Version, e.Latest, e.Mend)
	}
	return fmt.Sprintf("%s has schema version %d, this midden works on %d: upgrade it with \"midden migrate --db %s\"",
		e.Database, e.Version, e.Latest, e.Database)
}

// Store is an open database.
type Store struct {
	// Waiting, if not nil, is called now and then while another process
	// keeps the database locked.
	Waiting func(since time.Duration)

	db     *sql.DB
	seal   *sealer
	engine Engine
	// shadow: verdicts are stored, but not shown in the columns of files.
	shadow   bool
	spare    chan []any // room for rows that are to be stored
	job      jobState
	evidence evidence
}

// Engine is what a store is told of the database engine that it works on.
type Engine struct {
	// Remote: it is another process, which may be elsewhere.
	Remote bool
	// Explain puts the engine's errors into plain words.
	Explain func(error) error
	// Insert begins a statement that adds rows, without the word INTO. Where the
	// engine has a way to say that a failure undoes the whole transaction, not
	// that statement alone, it saves it a second journal.
	Insert string
	// Copy adds rows to a table, given one behind the other, quicker than Insert
	// does; nil if nothing is quicker.
	Copy func(ctx context.Context, tx *sql.Tx, table string, columns []string, values []any) error
	// Together runs statements one after the other, quicker than one by one; nil if
	// nothing is quicker.
	Together func(ctx context.Context, tx *sql.Tx, statements []Statement) error
	// Array returns values as an array, which is one parameter; nil where there are no arrays.
	Array func(values []any) string
	// Like is the operator that compares a text with a pattern, whatever the case
	// of ASCII letters.
	Like string
	// NextSegments asks for the first of $1 ids of segments that are to be stored, one behind the
	// other, larger than all that ever were before them.
	NextSegments string
	// Month returns the month under which a segment is kept whose latest event is
	// of a time; nil where segments are not kept by month.
	Month func(latest cowrie.Time) any
	// MakeMonth sees to it that segments can be kept under a month, until the transaction ends.
	MakeMonth func(ctx context.Context, tx *sql.Tx, month any) error
	// Ended returns the months that ended before a time and under which segments are
	// kept that can be dropped together; nil where segments are not kept by month.
	Ended func(ctx context.Context, before cowrie.Time) (months []any, err error)
	// DropMonth drops all segments that are kept under a month.
	DropMonth func(ctx context.Context, tx *sql.Tx, month any) error
	// Key returns what a column of texts, which may be long, is unique by.
	Key func(column string) string
	// Columns asks for the columns of a table $1, in order: name, declared type, place
	// in the primary key (0: not in it), and whether it follows from others.
	Columns string
	// Empty begins a statement that empties a table.
	Empty string
	// Continue returns a statement after which the ids of a table go on behind those
	// that are in it; nil if they do so anyway.
	Continue func(table string) string
	// Changes asks for a number that is another one as soon as somebody else has
	// written; "" if there is none.
	Changes string
	// WriteBack is the statement that does what the engine has put off; "" if it needs none.
	WriteBack string
	// LoginKey is what logins of a sensor and a day are unique by.
	LoginKey string
	// Damage returns what the engine itself finds damaged, a line each; nothing if
	// all is well.
	Damage func(context.Context) ([]string, error)
	// Hold lets one process at a time, among all that use the database, do what
	// may be done by one only. The error is a *HeldError if there is another.
	Hold func(l Lock, what string) (release func(), err error)
	// Claim takes what a key names for this process; false if another one has it.
	// Release lets go of all that was claimed, which the end of the process does, too.
	// Both are nil where several processes do not share work.
	Claim   func(ctx context.Context, key string) (taken bool, err error)
	Release func()
	// Close, if not nil, closes what the engine has opened besides.
	Close func() error
	// Scan is for reading much, once: its connections keep little in memory.
	Scan *sql.DB
	// Raw is the table raw_events of a database that was taken over from
	// cowrieprocessor; nil if there is none.
	Raw *Raw
}

// Lock names what one process at a time may do.
type Lock string

// The locks.
const (
	Maintenance Lock = "maintenance"
	Publication Lock = "publication"
)

// Statement is one whose result nobody asks for.
type Statement struct {
	Query string
	Args  []any
}

// patience is how long a writer waits for another one. What midden writes
// itself is committed every second or so.
const patience = 5 * time.Minute

// New returns the store in a database whose tables are of the latest version.
func New(db *sql.DB, e Engine) (*Store, error) {
	seal, err := newSealer()
	if err != nil {
		return nil, err
	}
	return &Store{db: db, seal: seal, engine: e, spare: make(chan []any, 4)}, nil
}

func (s *Store) explain(err error) error { return s.engine.Explain(err) }

// Hold lets one process at a time do what may be done by one only, among all
// that use the database. The error is a *HeldError if there is another.
func (s *Store) Hold(what string) (release func(), err error) {
	return s.engine.Hold(Maintenance, what)
}

// HoldPublication is Hold for who publishes, which others may do nothing against but
// publish, too.
func (s *Store) HoldPublication(what string) (release func(), err error) {
	return s.engine.Hold(Publication, what)
}

// Remote reports whether the database is a server's.
func (s *Store) Remote() bool { return s.engine.Remote }

// Close closes the database.
func (s *Store) Close() error {
	s.seal.close()
	if s.job.conn != nil {
		s.job.conn.Close()
	}
	var err error
	if s.engine.Close != nil {
		err = s.engine.Close()
	}
	return s.explain(errors.Join(err, s.engine.Scan.Close(), s.db.Close()))
}

// ClaimSource takes a source for this process, so that others that load the same
// files meanwhile read other ones; false if another one has it. It only saves work:
// what two have read is stored once. Where an engine serves one machine, all is
// granted.
func (s *Store) ClaimSource(ctx context.Context, fingerprint string) (taken bool, err error) {
	if s.engine.Claim == nil {
		return true, nil
	}
	return s.engine.Claim(ctx, fingerprint)
}

// ReleaseSources lets go of all sources that were claimed.
func (s *Store) ReleaseSources() {
	if s.engine.Release != nil {
		s.engine.Release()
	}
}

// beginner is a database, or one connection to it.
type beginner interface {
	BeginTx(context.Context, *sql.TxOptions) (*sql.Tx, error)
}

// begin begins a transaction, when nobody else is in one that writes.
func (s *Store) begin(ctx context.Context, db beginner) (*sql.Tx, error) {
	start := time.Now()
	for {
		tx, err := db.BeginTx(ctx, nil)
		err = s.explain(err)
		since := time.Since(start)
		if !errors.Is(err, ErrLocked) || since > patience || ctx.Err() != nil {
			return tx, err
		}
		if s.Waiting != nil {
			s.Waiting(since)
		}
	}
}

// inTx runs f in a transaction that can write from its beginning.
func (s *Store) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	return s.inTxOf(ctx, s.db, f)
}

func (s *Store) inTxOf(ctx context.Context, db beginner, f func(*sql.Tx) error) error {
	tx, err := s.begin(ctx, db)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return s.failed(ctx, err)
	}
	Reached("before commit")
	err = tx.Commit()
	Reached("after commit")
	return s.failed(ctx, err)
}

// failed puts an error of a transaction into plain words. Where the context has
// ended, the transaction may have been undone between two statements.
func (s *Store) failed(ctx context.Context, err error) error {
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
		return ctx.Err()
	}
	return s.explain(err)
}
